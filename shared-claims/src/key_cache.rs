//! When to fetch the key set, and what to do while there is none: a machine without clock,
//! network or randomness.
//!
//! The host asks [`KeyCache::lookup`] for each token and does what the answer says. Whoever is
//! told to fetch holds a [`Ticket`], is the only one to be told so, and owes a
//! [`KeyCache::report`]. Nobody waits for anybody's promise: on Workers that hangs.
//!
//! 1. An attempt is counted when it starts, whatever becomes of it.
//! 2. Tokens with unknown ids cause at most one fetch in 30 s.
//! 3. A document takes the place of the one held only if it is newer and has a usable key.
//! 4. Keys older than the hard limit verify nothing.
//! 5. "Unknown key" is said only when the issuer's present set could be looked at.

use alloc::string::String;

use crate::backoff::Backoff;
use crate::error::KeySetError;
use crate::key_set::KeySet;
use crate::kid::Kid;
use crate::time::UnixMillis;

/// The keys of one issuer, in one process or isolate. Plain data.
#[derive(Clone, Debug)]
pub struct KeyCache {
    ttl: KeyCacheTtl,
    held: Option<Held>,
    leader: Option<Leader>,
    last_ticket: u32,
    /// When the issuer was last about to be asked.
    attempted_at: Option<UnixMillis>,
    backoff: Backoff,
}

/// How long a key set is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCacheTtl {
    soft_ms: u64,
    hard_ms: u64,
}

/// What to do about a token.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// Verify with these keys.
    Use(&'a KeySet),
    /// Verify with these keys now, and load in the background.
    UseAndRefresh(&'a KeySet, Ticket),
    /// There are no keys: load them in this request, then look up again.
    Load(Ticket),
    /// The id is unknown: fetch from the issuer itself, past every copy, then look up again.
    ForcedRefetch(Ticket),
    /// Somebody else is loading: look up again after so long.
    Wait {
        /// Milliseconds until the next look.
        again_after_ms: u32,
    },
    /// The issuer has no such key: refuse the token with `unknown_key`.
    UnknownKey,
    /// The keys cannot be had at present: answer 503 `keys_unavailable`.
    Unavailable {
        /// For the header `Retry-After`.
        retry_after_secs: u64,
    },
}

/// The right and duty to load, until reported or 5 s old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

/// What came of loading.
#[derive(Clone, Copy, Debug)]
pub enum Report<'a> {
    /// A copy was found nearer than the issuer; `fetched_at` is when it came from there.
    Copy {
        /// The key set as the issuer sent it.
        document: &'a [u8],
        /// When it came from the issuer.
        fetched_at: UnixMillis,
    },
    /// The issuer answered.
    Fetched {
        /// The key set as the issuer sent it.
        document: &'a [u8],
        /// When it was asked for.
        fetched_at: UnixMillis,
        /// A random byte.
        jitter: u8,
    },
    /// The issuer did not answer, or not with 200 and JSON.
    Failed {
        /// A random byte.
        jitter: u8,
    },
    /// Nothing was fetched, because a neighbour has just done so.
    Skipped,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Loading is over: look up again.
    Done,
    /// The copy does not do: go on to the issuer with the same ticket. If looking up again
    /// gives keys, use them at once and go on in the background.
    FetchFromIssuer,
    /// The document was refused; what was held stays.
    Rejected(KeySetError),
}

/// The state as a person would name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// Nothing was ever loaded.
    Empty,
    /// Younger than the soft limit.
    Fresh,
    /// Between the limits: used, and due for a refresh.
    SoftStale,
    /// The last attempt failed: used until the hard limit.
    Degraded,
    /// Older than the hard limit: not used.
    HardStale,
}

#[derive(Clone, Debug)]
struct Held {
    keys: KeySet,
    fetched_at: UnixMillis,
}

#[derive(Clone, Copy, Debug)]
struct Leader {
    ticket: Ticket,
    since: UnixMillis,
    /// What `attempted_at` becomes if the issuer was not asked after all.
    refund: Option<UnixMillis>,
}

impl Ticket {
    /// The ticket of this number, for hosts that can hold nothing but numbers.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number of this ticket.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The ticket after the one of this number.
    pub(crate) fn after(last: &mut u32) -> Self {
        *last = last.wrapping_add(1);
        Self(*last)
    }
}

impl KeyCacheTtl {
    /// `None` unless 1 ≤ `soft_secs` ≤ `hard_secs` ≤ 86 400.
    pub const fn from_secs(soft_secs: u64, hard_secs: u64) -> Option<Self> {
        if soft_secs < 1 || soft_secs > hard_secs || hard_secs > MAX_HARD_TTL_SECS {
            return None;
        }
        Some(Self {
            soft_ms: soft_secs * 1000,
            hard_ms: hard_secs * 1000,
        })
    }
}

impl Default for KeyCacheTtl {
    /// Refreshed after 5 minutes, unusable after an hour.
    fn default() -> Self {
        Self::from_secs(300, 3600).expect("the defaults are in range")
    }
}

impl KeyCache {
    /// An empty cache.
    pub fn new(ttl: KeyCacheTtl) -> Self {
        Self {
            ttl,
            held: None,
            leader: None,
            last_ticket: 0,
            attempted_at: None,
            backoff: Backoff::new(MAX_PAUSE_MS),
        }
    }

    /// What to do about a token that names `kid`. `waited_ms` is how long this request has
    /// followed [`Lookup::Wait`] so far.
    pub fn lookup(&mut self, now: UnixMillis, kid: &Kid, waited_ms: u32) -> Lookup<'_> {
        self.bury_leader(now);
        match self.usable(now).map(|keys| keys.get(kid).is_some()) {
            None => self.lookup_cold(now, waited_ms),
            Some(false) => self.lookup_unknown(now, waited_ms),
            Some(true) => self.lookup_known(now),
        }
    }

    /// The duty to load, where keys will be needed and there are none: for hosts that know so
    /// before a token names one. Nothing while somebody is at it, or a pause is to be kept.
    pub fn load_ahead(&mut self, now: UnixMillis) -> Option<Ticket> {
        self.bury_leader(now);
        let cold = self.usable(now).is_none() && self.leader.is_none();
        (cold && self.backoff.wait_ms(now) == 0).then(|| self.lead(now, self.attempted_at))
    }

    /// Takes in what came of loading.
    pub fn report(&mut self, now: UnixMillis, ticket: Ticket, report: Report<'_>) -> Outcome {
        match report {
            Report::Copy {
                document,
                fetched_at,
            } => self.copied(now, ticket, document, fetched_at),
            Report::Fetched {
                document,
                fetched_at,
                jitter,
            } => self.fetched(now, ticket, document, fetched_at, jitter),
            Report::Failed { jitter } => {
                self.failed(now, ticket, jitter);
                Outcome::Done
            }
            Report::Skipped => {
                self.step_down(ticket);
                Outcome::Done
            }
        }
    }

    /// The keys, if there are any that may be used; asks for nothing.
    pub fn usable(&self, now: UnixMillis) -> Option<&KeySet> {
        let held = self.held.as_ref()?;
        (now.millis_since(held.fetched_at) < self.ttl.hard_ms).then_some(&held.keys)
    }

    /// The state as a person would name it.
    pub fn state(&self, now: UnixMillis) -> CacheState {
        match self.age_ms(now) {
            None => CacheState::Empty,
            Some(age) if age >= self.ttl.hard_ms => CacheState::HardStale,
            Some(_) if self.backoff.is_failing() => CacheState::Degraded,
            Some(age) if age >= self.ttl.soft_ms => CacheState::SoftStale,
            Some(_) => CacheState::Fresh,
        }
    }

    /// Seconds since the keys came from the issuer.
    pub fn age_secs(&self, now: UnixMillis) -> Option<u64> {
        self.age_ms(now).map(|age| age / 1000)
    }

    /// Takes in a document that came from the issuer earlier, without being asked for one:
    /// when a process starts with what another has exported. `false` when it is no key set,
    /// past the hard limit, or not newer than what is held.
    pub fn import(&mut self, now: UnixMillis, document: &[u8], fetched_at: UnixMillis) -> bool {
        if now.millis_since(fetched_at) >= self.ttl.hard_ms || !self.is_news(now, fetched_at) {
            return false;
        }
        let Ok(keys) = KeySet::from_json(document) else {
            return false;
        };
        self.hold(keys, fetched_at);
        true
    }

    /// The keys as a document, and when they came from the issuer: what [`import`](Self::import)
    /// and [`Report::Copy`] take.
    pub fn export(&self) -> Option<(String, UnixMillis)> {
        self.held
            .as_ref()
            .map(|held| (held.keys.to_json(), held.fetched_at))
    }

    /// A key that was held before goes on with what was prepared for it.
    fn hold(&mut self, mut keys: KeySet, fetched_at: UnixMillis) {
        if let Some(held) = &self.held {
            keys.inherit(&held.keys);
        }
        self.held = Some(Held { keys, fetched_at });
    }

    fn age_ms(&self, now: UnixMillis) -> Option<u64> {
        self.held
            .as_ref()
            .map(|held| now.millis_since(held.fetched_at))
    }

    fn lookup_known(&mut self, now: UnixMillis) -> Lookup<'_> {
        let stale = self.age_ms(now).is_some_and(|age| age >= self.ttl.soft_ms);
        let lead = stale && self.leader.is_none() && self.backoff.wait_ms(now) == 0;
        let ticket = lead.then(|| self.lead(now, self.attempted_at));
        match (self.usable(now), ticket) {
            (Some(keys), Some(ticket)) => Lookup::UseAndRefresh(keys, ticket),
            (Some(keys), None) => Lookup::Use(keys),
            (None, _) => unavailable(self.backoff.wait_ms(now)),
        }
    }

    fn lookup_unknown(&mut self, now: UnixMillis, waited_ms: u32) -> Lookup<'_> {
        if self.leader.is_some() {
            return wait(waited_ms < MAX_WAIT_MS);
        }
        if self.budget_wait_ms(now) == 0 && self.backoff.wait_ms(now) == 0 {
            return Lookup::ForcedRefetch(self.lead(now, Some(now)));
        }
        if !self.backoff.is_failing() {
            return Lookup::UnknownKey;
        }
        unavailable(self.backoff.wait_ms(now).max(self.budget_wait_ms(now)))
    }

    /// A request that has waited its time takes over from a leader that is late, one at a
    /// time; the others go on waiting for the new leader, for twice the time at most. Whoever
    /// has waited that long leads no more: its own fetch would make it three times.
    fn lookup_cold(&mut self, now: UnixMillis, waited_ms: u32) -> Lookup<'_> {
        if waited_ms >= 2 * MAX_WAIT_MS {
            return unavailable(self.backoff.wait_ms(now));
        }
        if let Some(leader) = self.leader {
            let late = now.millis_since(leader.since) >= LEADER_LATE_MS;
            if !(late && waited_ms >= MAX_WAIT_MS) {
                return wait(true);
            }
        } else if self.backoff.wait_ms(now) > 0 {
            return unavailable(self.backoff.wait_ms(now));
        }
        Lookup::Load(self.lead(now, self.attempted_at))
    }

    /// Milliseconds until an unknown id may cause a fetch again.
    fn budget_wait_ms(&self, now: UnixMillis) -> u64 {
        let spent = |at| FORCED_REFETCH_EVERY_MS.saturating_sub(now.millis_since(at));
        self.attempted_at.map_or(0, spent)
    }

    fn lead(&mut self, now: UnixMillis, refund: Option<UnixMillis>) -> Ticket {
        let ticket = Ticket::after(&mut self.last_ticket);
        self.leader = Some(Leader {
            ticket,
            since: now,
            refund,
        });
        self.attempted_at = Some(now);
        ticket
    }

    /// The leader of this ticket, who then is none any more.
    fn step_down(&mut self, ticket: Ticket) -> Option<Leader> {
        self.leader.take_if(|leader| leader.ticket == ticket)
    }

    /// A leader whose request was cancelled never reports. That says nothing of the issuer.
    fn bury_leader(&mut self, now: UnixMillis) {
        self.leader
            .take_if(|leader| now.millis_since(leader.since) >= LEADER_DEAD_MS);
    }

    fn copied(
        &mut self,
        now: UnixMillis,
        ticket: Ticket,
        document: &[u8],
        fetched_at: UnixMillis,
    ) -> Outcome {
        let imported = self.import(now, document, fetched_at);
        if !imported || now.millis_since(fetched_at) >= self.ttl.soft_ms {
            return Outcome::FetchFromIssuer;
        }
        if let Some(leader) = self.step_down(ticket) {
            self.attempted_at = leader.refund;
        }
        self.backoff.succeeded();
        Outcome::Done
    }

    fn fetched(
        &mut self,
        now: UnixMillis,
        ticket: Ticket,
        document: &[u8],
        fetched_at: UnixMillis,
        jitter: u8,
    ) -> Outcome {
        match KeySet::from_json(document) {
            Ok(keys) => {
                if self.is_news(now, fetched_at) {
                    self.hold(keys, fetched_at);
                }
                self.step_down(ticket);
                self.backoff.succeeded();
                Outcome::Done
            }
            Err(error) => {
                self.failed(now, ticket, jitter);
                Outcome::Rejected(error)
            }
        }
    }

    /// A late answer must not undo a newer one that is still of use.
    fn is_news(&self, now: UnixMillis, fetched_at: UnixMillis) -> bool {
        self.usable(now).is_none()
            || self
                .held
                .as_ref()
                .is_none_or(|held| fetched_at > held.fetched_at)
    }

    /// The failure of somebody who was given up on changes nothing: another leads by now.
    fn failed(&mut self, now: UnixMillis, ticket: Ticket, jitter: u8) {
        if self.step_down(ticket).is_some() {
            self.backoff.failed(now, jitter);
        }
    }
}

fn wait(may_wait: bool) -> Lookup<'static> {
    if may_wait {
        Lookup::Wait {
            again_after_ms: WAIT_STEP_MS,
        }
    } else {
        unavailable(0)
    }
}

/// `Retry-After` is never 0, which clients take as leave to hammer.
fn unavailable(wait_ms: u64) -> Lookup<'static> {
    Lookup::Unavailable {
        retry_after_secs: wait_ms.div_ceil(1000).max(1),
    }
}

/// A removed key must not live longer than a day anywhere, however the limit is set.
const MAX_HARD_TTL_SECS: u64 = 86_400;

/// One fetch in this time is what a stream of invented key ids can cause.
const FORCED_REFETCH_EVERY_MS: u64 = 30_000;

/// Longer than the fetch of a leader takes, whose time limit is 3 s.
const LEADER_DEAD_MS: u64 = 5_000;

/// Longer than the fetch of a leader takes, by what it takes to report: an issuer that hangs is
/// then a failure of the leader, and no reason for another to ask it at once.
const LEADER_LATE_MS: u64 = 3_250;

/// The longest pause after failures.
const MAX_PAUSE_MS: u64 = 60_000;

/// How long a request waits for another's load: the time limit of the fetch.
const MAX_WAIT_MS: u32 = 3_000;

/// Short beside a fetch, long beside a turn of the event loop.
const WAIT_STEP_MS: u32 = 25;
