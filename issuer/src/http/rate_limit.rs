//! Rate limits in process: GCRA per client address and per account.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use time::OffsetDateTime;

/// What is limited. Each has its own budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `POST /auth/register`.
    Register,
    /// `POST /auth/login`, per address.
    Login,
    /// `POST /auth/login`, per account.
    LoginAccount,
    /// Mail asked for and codes tried, per address; passwords tried from a session, per user.
    MailAccount,
    /// `POST /auth/refresh`.
    Refresh,
    /// Every other request that changes something.
    Write,
}

impl Class {
    fn per_minute(self) -> u32 {
        match self {
            Self::Register => 10,
            Self::Login => 20,
            Self::LoginAccount => 30,
            Self::MailAccount => 6,
            Self::Refresh => 60,
            Self::Write => 120,
        }
    }
}

/// Whose budget is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Address(u32),
    Network64(u64),
    Network48(u64),
    Account([u8; 16]),
    Overflow,
}

/// What the limiter decided, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub allowed: bool,
    /// The limit per minute.
    pub limit: u32,
    /// Requests left at this moment.
    pub remaining: u32,
    /// Seconds until the budget is whole again, or, when refused, until the next try.
    pub reset_secs: u64,
}

/// Budgets of everyone who drew on one lately.
#[derive(Debug)]
pub struct RateLimiter {
    scale_thousandths: u32,
    table: Mutex<HashMap<(Class, Subject), i64>>,
}

impl RateLimiter {
    /// Limits as documented, times `scale_thousandths` / 1000.
    pub fn new(scale_thousandths: u32) -> Self {
        Self {
            scale_thousandths,
            table: Mutex::default(),
        }
    }

    /// Draws one request on the address's budget. An IPv6 client owns at least a /64, often a
    /// /48, so both are counted; the wider one has four times the budget.
    pub fn draw_for_address(&self, class: Class, address: IpAddr, now: OffsetDateTime) -> Decision {
        match address {
            IpAddr::V4(ip) => self.draw(class, Subject::Address(ip.to_bits()), 1, now),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments().map(u64::from);
                let site = a << 32 | b << 16 | c;
                let wide = self.draw(class, Subject::Network48(site), IPV6_SITE_FACTOR, now);
                if !wide.allowed {
                    return wide;
                }
                self.draw(class, Subject::Network64(site << 16 | d), 1, now)
            }
        }
    }

    /// Draws one request on the account's budget; `digest` names it whether or not it exists.
    pub fn draw_for_account(
        &self,
        class: Class,
        digest: [u8; 16],
        now: OffsetDateTime,
    ) -> Decision {
        self.draw(class, Subject::Account(digest), 1, now)
    }

    fn draw(&self, class: Class, subject: Subject, factor: u32, now: OffsetDateTime) -> Decision {
        let limit = self.limit(class, factor);
        let now = i64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        let mut table = self.table.lock().expect("no holder of this lock panics");
        let subject = make_room(&mut table, (class, subject), now);
        let tat = table.entry((class, subject)).or_insert(now);
        gcra(tat, limit, now)
    }

    fn limit(&self, class: Class, factor: u32) -> u32 {
        let scaled =
            u64::from(class.per_minute() * factor) * u64::from(self.scale_thousandths) / 1000;
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    }
}

/// The generic cell rate algorithm (ITU-T I.371): `tat` is when the budget will be whole again.
fn gcra(tat: &mut i64, limit: u32, now: i64) -> Decision {
    let interval = MINUTE_MICROS / i64::from(limit);
    let after = (*tat).max(now) + interval;
    let wait = after - now - interval * i64::from(limit);
    let allowed = wait <= 0;
    if allowed {
        *tat = after;
    }
    let remaining = if allowed {
        (-wait) / interval.max(1)
    } else {
        0
    };
    Decision {
        allowed,
        limit,
        remaining: u32::try_from(remaining).unwrap_or(0),
        reset_secs: ceil_secs(if allowed { after - now } else { wait }),
    }
}

/// Keeps the table bounded: forgets whoever has a whole budget again, and, should that not be
/// enough, lets newcomers share one budget.
fn make_room(
    table: &mut HashMap<(Class, Subject), i64>,
    key: (Class, Subject),
    now: i64,
) -> Subject {
    if table.len() < MAX_SUBJECTS || table.contains_key(&key) {
        return key.1;
    }
    table.retain(|_, tat| *tat > now);
    if table.len() < MAX_SUBJECTS {
        key.1
    } else {
        Subject::Overflow
    }
}

fn ceil_secs(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}

const MINUTE_MICROS: i64 = 60_000_000;
/// A /48 may hold many households.
const IPV6_SITE_FACTOR: u32 = 4;
/// About 10 MB; an attack from more addresses than that within a minute meets one shared budget.
const MAX_SUBJECTS: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use time::Duration;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    fn allowed_of(limiter: &RateLimiter, class: Class, n: u32, at: OffsetDateTime) -> usize {
        (0..n)
            .filter(|_| limiter.draw_for_address(class, HOME, at).allowed)
            .count()
    }

    #[test]
    fn a_burst_up_to_the_limit_passes_and_the_next_is_refused() {
        let limiter = RateLimiter::new(1000);
        assert_eq!(allowed_of(&limiter, Class::Register, 11, START), 10);
        let refused = limiter.draw_for_address(Class::Register, HOME, START);
        assert_eq!(
            (refused.allowed, refused.remaining, refused.reset_secs),
            (false, 0, 6)
        );
    }

    #[test]
    fn one_request_is_given_back_each_interval_and_not_a_moment_earlier() {
        let limiter = RateLimiter::new(1000);
        allowed_of(&limiter, Class::Register, 10, START);
        let almost = START + Duration::seconds(6) - Duration::microseconds(1);
        assert_eq!(allowed_of(&limiter, Class::Register, 1, almost), 0);
        assert_eq!(
            allowed_of(&limiter, Class::Register, 2, START + Duration::seconds(6)),
            1
        );
    }

    #[test]
    fn classes_and_addresses_have_budgets_of_their_own() {
        let limiter = RateLimiter::new(1000);
        allowed_of(&limiter, Class::Register, 10, START);
        assert_eq!(allowed_of(&limiter, Class::Login, 1, START), 1);
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert!(
            limiter
                .draw_for_address(Class::Register, other, START)
                .allowed
        );
    }

    #[test]
    fn an_ipv6_client_cannot_multiply_by_changing_its_address() {
        let limiter = RateLimiter::new(1000);
        let from = |site: u16, net: u16, host: u16| {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, site, net, 0, 0, 0, host);
            limiter
                .draw_for_address(Class::Register, IpAddr::V6(ip), START)
                .allowed
        };
        assert_eq!((0..20).filter(|host| from(1, 0, *host)).count(), 10);
        assert_eq!((0..100).filter(|net| from(2, *net, 0)).count(), 40);
    }

    #[test]
    fn scale_multiplies_the_limit() {
        assert_eq!(
            allowed_of(&RateLimiter::new(500), Class::Register, 20, START),
            5
        );
        assert_eq!(
            allowed_of(&RateLimiter::new(2000), Class::Register, 30, START),
            20
        );
    }

    #[test]
    fn the_table_stays_bounded() {
        let limiter = RateLimiter::new(1000);
        for i in 0..u32::try_from(MAX_SUBJECTS).expect("fits") + 50 {
            let ip = IpAddr::V4(Ipv4Addr::from_bits(i));
            limiter.draw_for_address(Class::Register, ip, START);
        }
        let size = limiter.table.lock().expect("lock").len();
        assert!(size <= MAX_SUBJECTS + 1, "{size}");
        let later = START + Duration::minutes(2);
        limiter.draw_for_address(Class::Register, HOME, later);
        assert_eq!(limiter.table.lock().expect("lock").len(), 1);
    }
}
