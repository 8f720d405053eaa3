//! The ledger of one account in plain Rust, as simple as can be: no database, no entries, times
//! in microseconds.

use std::collections::BTreeMap;

/// What is given away each day, and after how many hours it lapses (0: never).
#[derive(Debug, Clone, Copy)]
pub struct Free {
    pub daily: i64,
    pub expires_hours: i32,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Use {
        principal: &'static str,
        key: Option<String>,
        amount: i64,
    },
    Place {
        principal: &'static str,
        key: Option<String>,
        amount: i64,
        ttl_secs: i64,
        id: String,
    },
    Capture {
        principal: &'static str,
        key: String,
        id: String,
        amount: Option<i64>,
        is_final: bool,
    },
    Release {
        principal: &'static str,
        key: String,
        id: String,
    },
}

impl Request {
    pub fn spend(principal: &'static str, key: Option<String>, amount: i64) -> Self {
        Self::Use {
            principal,
            key,
            amount,
        }
    }

    pub fn place(
        principal: &'static str,
        key: Option<String>,
        amount: i64,
        ttl_secs: i64,
        id: String,
    ) -> Self {
        Self::Place {
            principal,
            key,
            amount,
            ttl_secs,
            id,
        }
    }

    pub fn capture(
        principal: &'static str,
        step: u32,
        id: String,
        amount: Option<i64>,
        is_final: bool,
    ) -> Self {
        Self::Capture {
            principal,
            key: format!("c{step}"),
            id,
            amount,
            is_final,
        }
    }

    pub fn release(principal: &'static str, step: u32, id: String) -> Self {
        Self::Release {
            principal,
            key: format!("r{step}"),
            id,
        }
    }

    pub fn principal(&self) -> &'static str {
        match self {
            Self::Use { principal, .. }
            | Self::Place { principal, .. }
            | Self::Capture { principal, .. }
            | Self::Release { principal, .. } => principal,
        }
    }

    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Use { key, .. } | Self::Place { key, .. } => key.as_deref(),
            Self::Capture { key, .. } | Self::Release { key, .. } => Some(key),
        }
    }
}

/// What they are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub outcome: String,
    pub replayed: bool,
    pub available: Option<i64>,
    pub retry_after_secs: Option<i32>,
    pub hold: Option<(i64, i64, String)>,
    pub charged: Option<i64>,
    pub balance_after: Option<i64>,
}

impl Answer {
    fn of(outcome: &str) -> Self {
        Self {
            outcome: outcome.into(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone)]
struct Lot {
    rank: u8,
    /// When it was bought; `None` for what was not.
    bought_at: Option<i64>,
    expires_at: i64,
    remaining: i64,
    held: i64,
}

#[derive(Debug, Clone)]
struct Hold {
    placed_by: &'static str,
    amount: i64,
    captured: i64,
    status: &'static str,
    placed_at: i64,
    expires_at: i64,
    /// Lot and what is reserved in it, in the order of spending.
    reserved: Vec<(usize, i64)>,
}

/// Credits in escrow.
#[derive(Debug, Clone)]
struct Gift {
    status: &'static str,
    expires_at: i64,
    /// Lot and how much of it, in the order they were taken.
    parts: Vec<(usize, i64)>,
}

/// A charge or capture that can be refunded.
#[derive(Debug, Clone)]
struct Charge {
    amount: i64,
    refunded: i64,
    /// When it was made, and when it began to count towards limits.
    at: i64,
    counted_at: i64,
    /// In the order of spending.
    parts: Vec<(usize, i64)>,
}

/// The account.
#[derive(Debug)]
pub struct Reference {
    pub frozen: Option<String>,
    free: Free,
    lots: Vec<Lot>,
    holds: BTreeMap<String, Hold>,
    answers: BTreeMap<(&'static str, String), (Request, Answer)>,
    daily_due_at: i64,
    lasting_daily: Option<usize>,
    earned: i64,
    spent: i64,
    declines: (i64, u32),
    gifts: Vec<Gift>,
    charges: Vec<Charge>,
    /// Of a day and of a month.
    pub caps: [Option<i64>; 2],
    /// What counts, and when it began to: for the limits of a day and a month.
    counted: Vec<(i64, i64)>,
}

const NEVER: i64 = i64::MAX;
const DAY: i64 = 24 * HOUR;
const HOUR: i64 = 3600 * SECOND;
const SECOND: i64 = 1_000_000;
const DECLINE_WINDOW: i64 = 60 * SECOND;
const MAX_DECLINES: u32 = 60;
const MAX_WAITING: usize = 100;
const MIN_AGE: i64 = 7 * DAY;

impl Reference {
    pub fn new(now: i64, bonus: i64, free: Free) -> Self {
        let mut account = Self {
            frozen: None,
            free,
            lots: Vec::new(),
            holds: BTreeMap::new(),
            answers: BTreeMap::new(),
            daily_due_at: now + DAY,
            lasting_daily: None,
            earned: 0,
            spent: 0,
            declines: (i64::MIN, 0),
            gifts: Vec::new(),
            charges: Vec::new(),
            caps: [None, None],
            counted: Vec::new(),
        };
        account.add_lot("signup", bonus, None);
        account
    }

    pub fn add_lot(&mut self, kind: &str, amount: i64, expires_at: Option<i64>) {
        let rank = match kind {
            "daily" => 1,
            "signup" => 2,
            "gift" => 3,
            "refund" => 4,
            _ => 5,
        };
        self.lots.push(Lot {
            rank,
            bought_at: None,
            expires_at: expires_at.unwrap_or(NEVER),
            remaining: amount,
            held: 0,
        });
        self.earned += amount;
    }

    pub fn buy(&mut self, amount: i64, expires_at: Option<i64>, now: i64) {
        self.add_lot("purchase", amount, expires_at);
        self.lots.last_mut().expect("just added").bought_at = Some(now);
    }

    pub fn lots(&self) -> Vec<(i64, i64)> {
        self.lots
            .iter()
            .map(|lot| (lot.remaining, lot.held))
            .collect()
    }

    pub fn hold_ids(&self) -> Vec<String> {
        self.holds.keys().cloned().collect()
    }

    /// The request that used a key.
    pub fn request_of(&self, principal: &'static str, key: Option<&str>) -> Option<&Request> {
        self.answers
            .get(&(principal, key?.to_owned()))
            .map(|(request, _)| request)
    }

    /// How long until something falls due.
    pub fn next_instant(&self, now: i64) -> i64 {
        let holds = self
            .holds
            .values()
            .filter(|hold| hold.status == "open")
            .map(|hold| hold.expires_at);
        let lots = self
            .lots
            .iter()
            .map(|lot| lot.expires_at)
            .filter(|at| *at != NEVER);
        let gifts = self
            .gifts
            .iter()
            .filter(|gift| gift.status == "waiting")
            .map(|gift| gift.expires_at);
        let next = holds
            .chain(lots)
            .chain(gifts)
            .chain([self.daily_due_at, window_end(0, now)])
            .filter(|at| *at > now)
            .min();
        next.unwrap_or(now) - now
    }

    /// Available, free, held, earned, spent.
    pub fn balance(&mut self, now: i64) -> (i64, i64, i64, i64, i64) {
        self.settle(now);
        let usable = self.lots.iter().filter(|lot| lot.expires_at > now);
        let free = usable
            .filter(|lot| lot.rank <= 3)
            .map(|lot| lot.remaining - lot.held)
            .sum();
        let held = self.lots.iter().map(|lot| lot.held).sum();
        (self.available(now), free, held, self.earned, self.spent)
    }

    pub fn perform(&mut self, request: &Request, now: i64) -> Answer {
        if let Some(key) = request.key()
            && let Some((earlier, answer)) =
                self.answers.get(&(request.principal(), key.to_owned()))
        {
            let answer = if earlier == request {
                answer.clone()
            } else {
                Answer::of("key_reused")
            };
            return Answer {
                replayed: true,
                ..answer
            };
        }
        let answer = match request {
            Request::Use { amount, .. } => self.spend(*amount, now, request.key().is_some()),
            Request::Place {
                amount,
                ttl_secs,
                id,
                ..
            } => {
                let expires_at = now + ttl_secs * SECOND;
                self.place(request, *amount, expires_at, id, now)
            }
            Request::Capture {
                id,
                amount,
                is_final,
                ..
            } => self.capture(request, id, *amount, *is_final, now),
            Request::Release { id, .. } => self.release(request, id, now),
        };
        let burns = matches!(answer.outcome.as_str(), "posted" | "done" | "insufficient");
        if let Some(key) = request.key().filter(|_| burns) {
            self.answers.insert(
                (request.principal(), key.to_owned()),
                (request.clone(), answer.clone()),
            );
        }
        answer
    }

    fn spend(&mut self, amount: i64, now: i64, has_key: bool) -> Answer {
        if self.frozen.is_some() {
            return Answer::of("frozen");
        }
        self.settle(now);
        if self.available(now) < amount {
            return self.decline(now, has_key);
        }
        if self.reached_limit(amount, now).is_some() {
            return Answer::of("limit_reached");
        }
        self.counted.push((amount, now));
        let parts = self.allocate(amount, now);
        for (lot, part) in &parts {
            self.lots[*lot].remaining -= part;
        }
        self.spent += amount;
        self.charges.push(Charge {
            amount,
            refunded: 0,
            at: now,
            counted_at: now,
            parts,
        });
        Answer {
            available: Some(self.available(now)),
            charged: Some(amount),
            balance_after: Some(self.total()),
            ..Answer::of("posted")
        }
    }

    fn place(
        &mut self,
        request: &Request,
        amount: i64,
        expires_at: i64,
        id: &str,
        now: i64,
    ) -> Answer {
        if self.frozen.is_some() {
            return Answer::of("frozen");
        }
        self.settle(now);
        if self.available(now) < amount {
            return self.decline(now, request.key().is_some());
        }
        if let Some(reached) = self.reached_limit(amount, now) {
            return Answer {
                hold: Some(reached),
                ..Answer::of("limit_reached")
            };
        }
        self.counted.push((amount, now));
        let reserved = self.allocate(amount, now);
        for (lot, part) in &reserved {
            self.lots[*lot].held += part;
        }
        let placed_by = request.principal();
        let hold = Hold {
            placed_by,
            amount,
            captured: 0,
            status: "open",
            placed_at: now,
            expires_at,
            reserved,
        };
        self.holds.insert(id.to_owned(), hold);
        self.answer_hold(id, None)
    }

    fn capture(
        &mut self,
        request: &Request,
        id: &str,
        amount: Option<i64>,
        is_final: bool,
        now: i64,
    ) -> Answer {
        self.settle(now);
        let (hold, lots) = match self.open_hold(request, id) {
            Ok(found) => found,
            Err(outcome) => return Answer::of(outcome),
        };
        let mut parts = Vec::new();
        let left = hold.amount - hold.captured;
        let amount = amount.unwrap_or(left);
        if amount > left {
            return Answer::of("exceeds_hold");
        }
        let mut to_take = amount;
        for (lot, part) in &mut hold.reserved {
            let taken = to_take.min(*part);
            lots[*lot].remaining -= taken;
            lots[*lot].held -= taken;
            *part -= taken;
            to_take -= taken;
            parts.push((*lot, taken));
        }
        hold.captured += amount;
        let counted_at = hold.placed_at;
        if is_final || amount == left {
            end(hold, lots, "captured");
            self.counted.push((amount - left, counted_at));
        }
        self.charges.push(Charge {
            amount,
            refunded: 0,
            at: now,
            counted_at,
            parts,
        });
        self.spent += amount;
        self.answer_hold(id, Some(amount))
    }

    fn release(&mut self, request: &Request, id: &str, now: i64) -> Answer {
        self.settle(now);
        match self.open_hold(request, id) {
            Ok((hold, lots)) => {
                let freed = (hold.captured - hold.amount, hold.placed_at);
                end(hold, lots, "released");
                self.counted.push(freed);
            }
            Err(outcome) => return Answer::of(outcome),
        }
        self.answer_hold(id, None)
    }

    fn open_hold(
        &mut self,
        request: &Request,
        id: &str,
    ) -> Result<(&mut Hold, &mut Vec<Lot>), &'static str> {
        match self.holds.get_mut(id) {
            Some(hold) if hold.placed_by != request.principal() => Err("no_hold"),
            Some(hold) if hold.status != "open" => Err("not_open"),
            Some(hold) => Ok((hold, &mut self.lots)),
            None => Err("no_hold"),
        }
    }

    fn answer_hold(&self, id: &str, charged: Option<i64>) -> Answer {
        let hold = &self.holds[id];
        Answer {
            hold: Some((hold.amount, hold.captured, hold.status.into())),
            charged,
            balance_after: Some(self.total()),
            ..Answer::of("done")
        }
    }

    fn decline(&mut self, now: i64, has_key: bool) -> Answer {
        let declined = Answer {
            available: Some(self.available(now)),
            ..Answer::of("insufficient")
        };
        if !has_key {
            return declined;
        }
        if self.declines.0 <= now {
            self.declines = (now + DECLINE_WINDOW, 0);
        }
        if self.declines.1 == MAX_DECLINES {
            let wait = (self.declines.0 - now + SECOND - 1) / SECOND;
            let retry_after_secs = Some(i32::try_from(wait).expect("at most a minute"));
            return Answer {
                outcome: "rate_limited".into(),
                retry_after_secs,
                ..declined
            };
        }
        self.declines.1 += 1;
        declined
    }

    fn settle(&mut self, now: i64) {
        self.settle_lapsed(now);
        if self.free.daily > 0 && self.frozen.is_none() && self.daily_due_at <= now {
            self.add_daily(now);
            self.daily_due_at = now + DAY;
        }
    }

    /// All but the daily credits.
    fn settle_lapsed(&mut self, now: i64) {
        for hold in self
            .holds
            .values_mut()
            .filter(|hold| hold.status == "open" && hold.expires_at <= now)
        {
            end(hold, &mut self.lots, "expired");
            self.counted
                .push((hold.captured - hold.amount, hold.placed_at));
        }
        for i in 0..self.gifts.len() {
            if self.gifts[i].status == "waiting" && self.gifts[i].expires_at <= now {
                self.give_back(i, "expired");
            }
        }
        for lot in self.lots.iter_mut().filter(|lot| lot.expires_at <= now) {
            lot.remaining = lot.held;
        }
    }

    fn add_daily(&mut self, now: i64) {
        if self.free.expires_hours > 0 {
            let expires_at = now + i64::from(self.free.expires_hours) * HOUR;
            return self.add_lot("daily", self.free.daily, Some(expires_at));
        }
        match self.lasting_daily {
            Some(lot) => {
                self.lots[lot].remaining += self.free.daily;
                self.earned += self.free.daily;
            }
            None => {
                self.lasting_daily = Some(self.lots.len());
                self.add_lot("daily", self.free.daily, None);
            }
        }
    }

    /// Outcome and what can be spent after it, or given when that is too little.
    pub fn give(&mut self, amount: i64, expires_at: i64, now: i64) -> (&'static str, Option<i64>) {
        if self.frozen.is_some() {
            return ("frozen", None);
        }
        let waiting = |gift: &&Gift| gift.status == "waiting" && gift.expires_at > now;
        if self.gifts.iter().filter(waiting).count() >= MAX_WAITING {
            return ("too_many_gifts", None);
        }
        self.settle(now);
        let is_giftable =
            |lot: &Lot| lot.bought_at.is_some_and(|at| at <= now - MIN_AGE) && lot.expires_at > now;
        let mut order: Vec<usize> = (0..self.lots.len())
            .filter(|i| is_giftable(&self.lots[*i]))
            .collect();
        order.sort_by_key(|i| (-self.lots[*i].expires_at, *i));
        let giftable = order
            .iter()
            .map(|i| self.lots[*i].remaining - self.lots[*i].held)
            .sum();
        if giftable < amount {
            return ("insufficient", Some(giftable));
        }
        let (mut left, mut parts, mut ends_at) = (amount, Vec::new(), expires_at);
        for i in order {
            let part = left.min(self.lots[i].remaining - self.lots[i].held);
            if part > 0 {
                self.lots[i].remaining -= part;
                ends_at = ends_at.min(self.lots[i].expires_at);
                parts.push((i, part));
                left -= part;
            }
        }
        self.gifts.push(Gift {
            status: "waiting",
            expires_at: ends_at,
            parts,
        });
        ("done", Some(self.available(now)))
    }

    pub fn free(&self) -> Free {
        self.free
    }

    pub fn n_gifts(&self) -> usize {
        self.gifts.len()
    }

    pub fn cancel_gift(&mut self, i: usize, now: i64) -> &'static str {
        self.settle(now);
        match self.gifts[i].status {
            "waiting" => {
                self.give_back(i, "cancelled");
                "done"
            }
            "cancelled" => "done",
            _ => "ended",
        }
    }

    /// Somebody else takes it: nothing happens in this account.
    pub fn gift_is_redeemed(&mut self, i: usize, now: i64) -> &'static str {
        let gift = &mut self.gifts[i];
        match gift.status {
            "redeemed" => "done",
            "waiting" if gift.expires_at > now && self.frozen.is_some() => "blocked",
            "waiting" if gift.expires_at > now => {
                gift.status = "redeemed";
                "done"
            }
            _ => "no_gift",
        }
    }

    fn give_back(&mut self, i: usize, status: &'static str) {
        self.gifts[i].status = status;
        for (lot, part) in self.gifts[i].parts.clone() {
            self.lots[lot].remaining += part;
        }
    }

    pub fn adjust(&mut self, amount: i64, expires_at: Option<i64>, now: i64) -> &'static str {
        self.settle_lapsed(now);
        if amount > 0 {
            let kind = if expires_at.is_some() {
                "gift"
            } else {
                "refund"
            };
            self.add_lot(kind, amount, expires_at);
            return "done";
        }
        if self.available(now) < -amount {
            return "insufficient";
        }
        for (lot, part) in self.allocate(-amount, now) {
            self.lots[lot].remaining -= part;
        }
        "done"
    }

    pub fn n_charges(&self) -> usize {
        self.charges.len()
    }

    pub fn refund(&mut self, i: usize, amount: i64, now: i64) -> &'static str {
        self.settle_lapsed(now);
        let charge = &mut self.charges[i];
        if charge.refunded == charge.amount {
            return "nothing_left";
        }
        if amount > charge.amount - charge.refunded {
            return "exceeds_charge";
        }
        let (mut passed, mut left) = (charge.refunded, amount);
        charge.refunded += amount;
        let (at, counted_at) = (charge.at, charge.counted_at);
        let mut lapsed: Option<(i64, i64)> = None;
        for (lot, part) in charge.parts.iter().rev() {
            let skipped = passed.min(*part);
            passed -= skipped;
            let back = left.min(part - skipped);
            left -= back;
            let lot = &mut self.lots[*lot];
            if back > 0 && lot.expires_at <= now {
                let until = now + (lot.expires_at - at).max(DAY);
                let (sum, last) = lapsed.unwrap_or((0, until));
                lapsed = Some((sum + back, last.max(until)));
            } else {
                lot.remaining += back;
            }
        }
        if let Some((sum, until)) = lapsed {
            self.add_lot("refund", sum, Some(until));
            self.earned -= sum;
        }
        self.spent -= amount;
        self.counted.push((-amount, counted_at));
        "done"
    }

    /// The limit that forbids it, what counts towards it, and its period.
    fn reached_limit(&self, amount: i64, now: i64) -> Option<(i64, i64, String)> {
        ["day", "month"].iter().enumerate().find_map(|(i, period)| {
            let starts_at = window_start(i, now);
            let counted = self.counted.iter().filter(|(_, at)| *at >= starts_at);
            let used: i64 = counted.map(|(amount, _)| amount).sum();
            let cap = self.caps[i].filter(|cap| used + amount > *cap)?;
            Some((cap, used, (*period).into()))
        })
    }

    fn available(&self, now: i64) -> i64 {
        self.lots
            .iter()
            .filter(|lot| lot.expires_at > now)
            .map(|lot| lot.remaining - lot.held)
            .sum()
    }

    fn total(&self) -> i64 {
        self.lots.iter().map(|lot| lot.remaining).sum()
    }

    fn allocate(&self, amount: i64, now: i64) -> Vec<(usize, i64)> {
        let mut order: Vec<usize> = (0..self.lots.len())
            .filter(|i| self.lots[*i].expires_at > now)
            .collect();
        order.sort_by_key(|i| (self.lots[*i].rank, self.lots[*i].expires_at, *i));
        let mut left = amount;
        let mut parts = Vec::new();
        for i in order {
            let part = left.min(self.lots[i].remaining - self.lots[i].held);
            if part > 0 {
                parts.push((i, part));
                left -= part;
            }
        }
        parts
    }
}

/// When the day or month of that instant begins (UTC).
fn window_start(period: usize, at: i64) -> i64 {
    let at = time::OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(at);
    let midnight = at.replace_time(time::Time::MIDNIGHT);
    let start = match period {
        0 => midnight,
        _ => midnight
            .replace_day(1)
            .expect("every month has a first day"),
    };
    i64::try_from(start.unix_timestamp_nanos() / 1000).expect("in range")
}

fn window_end(period: usize, at: i64) -> i64 {
    let start = window_start(period, at);
    // 31 days after the first of a month is in the next one.
    window_start(period, start + if period == 0 { DAY } else { 31 * DAY })
}

fn end(hold: &mut Hold, lots: &mut [Lot], status: &'static str) {
    for (lot, part) in hold.reserved.drain(..) {
        lots[lot].held -= part;
    }
    hold.status = status;
}
