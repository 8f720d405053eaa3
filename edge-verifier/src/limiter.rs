//! How much one client may ask for, as counted in one isolate.
//!
//! The generic cell rate algorithm: for each client one instant, before which it has used up what
//! it may have. A client may have its whole allowance at once and then waits for it to come back
//! evenly. Tables are bounded: when one is full, whoever has not come for longest starts anew.

use std::collections::HashMap;

use shared_claims::{Prefix, UnixMillis, hash_prefix};

use crate::config::Rate;

/// The clients of one kind of limit, of all routes.
#[derive(Debug, Default)]
pub struct Limiter {
    young: HashMap<Client, Instant>,
    old: HashMap<Client, Instant>,
}

/// A route and who asks, as a hash that does not tell who.
type Client = (usize, Prefix);

/// Nanoseconds since 1970: of thousands a second each must count as much as it is.
type Instant = u64;

/// The client has used up its allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Seconds after which there is some again, at least 1.
    pub retry_after_secs: u64,
}

impl Limiter {
    /// Whether the client may ask at all, taking nothing.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn look(
        &self,
        route: usize,
        who: &str,
        rate: Rate,
        now: UnixMillis,
    ) -> Result<(), Exhausted> {
        self.next(&(route, hash_prefix(who)), rate, now).map(drop)
    }

    /// Takes one from the client's allowance.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn take(
        &mut self,
        route: usize,
        who: &str,
        rate: Rate,
        now: UnixMillis,
    ) -> Result<(), Exhausted> {
        let client = (route, hash_prefix(who));
        let next = self.next(&client, rate, now);
        // Whoever is refused has come, too, and is not forgotten.
        let known = self.young.get(&client).or_else(|| self.old.get(&client));
        if let Some(used) = next.ok().or(known.copied()) {
            self.remember(client, used);
        }
        next.map(drop)
    }

    /// When the young half is full it becomes the old one, and who has not come since the last time
    /// is forgotten.
    fn remember(&mut self, client: Client, used: Instant) {
        if self.young.len() >= MAX_CLIENTS / 2 && !self.young.contains_key(&client) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(client, used);
    }

    /// When the client will have used up its allowance if it takes one more.
    fn next(&self, client: &Client, rate: Rate, now: UnixMillis) -> Result<Instant, Exhausted> {
        let period = u64::from(rate.period_secs) * SECOND;
        let step = period / u64::from(rate.count.max(1));
        let now = now.as_millis().saturating_mul(MILLISECOND);
        let known = self.young.get(client).or_else(|| self.old.get(client));
        // What lies further ahead than any allowance is from before the clock was set back.
        let known = known.filter(|used| **used <= now.saturating_add(period));
        let used = known.map_or(now, |used| now.max(*used));
        let next = used.saturating_add(step);
        let wait = next.saturating_sub(now.saturating_add(period));
        if wait == 0 {
            return Ok(next);
        }
        Err(Exhausted {
            retry_after_secs: wait.div_ceil(SECOND),
        })
    }
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;
/// With its hash and its instant a client costs about 50 bytes: under 1 MB of an isolate's 128.
const MAX_CLIENTS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    const RATE: Rate = Rate {
        count: 3,
        period_secs: 60,
    };

    fn later(secs: u64) -> UnixMillis {
        UnixMillis::from_millis(NOW.as_millis() + secs * 1000)
    }

    #[test]
    fn allowance_is_had_at_once_and_comes_back_evenly() {
        let mut limiter = Limiter::default();
        for _ in 0..3 {
            assert_eq!(limiter.take(0, "a", RATE, NOW), Ok(()));
        }
        let in_secs = |secs| {
            Err(Exhausted {
                retry_after_secs: secs,
            })
        };
        assert_eq!(limiter.take(0, "a", RATE, NOW), in_secs(20));
        assert_eq!(limiter.take(0, "a", RATE, later(19)), in_secs(1));
        assert_eq!(limiter.take(0, "a", RATE, later(20)), Ok(()));
        assert_eq!(limiter.take(0, "a", RATE, later(20)), in_secs(20));
        assert_eq!(limiter.take(0, "a", RATE, later(500)), Ok(()));
    }

    #[test]
    fn clients_and_routes_have_allowances_of_their_own() {
        let mut limiter = Limiter::default();
        for _ in 0..3 {
            limiter.take(0, "a", RATE, NOW).expect("within the rate");
        }
        assert!(limiter.take(0, "a", RATE, NOW).is_err());
        assert_eq!(limiter.take(1, "a", RATE, NOW), Ok(()));
        assert_eq!(limiter.take(0, "b", RATE, NOW), Ok(()));
    }

    #[test]
    fn looking_takes_nothing() {
        let mut limiter = Limiter::default();
        for _ in 0..10 {
            assert_eq!(limiter.look(0, "a", RATE, NOW), Ok(()));
        }
        for _ in 0..3 {
            limiter.take(0, "a", RATE, NOW).expect("within the rate");
        }
        assert!(limiter.look(0, "a", RATE, NOW).is_err());
    }

    #[test]
    fn thousands_a_second_are_counted_one_by_one() {
        let rate = Rate {
            count: 7000,
            period_secs: 1,
        };
        let mut limiter = Limiter::default();
        let taken = (0..20_000).filter(|_| limiter.take(0, "a", rate, NOW).is_ok());
        assert!((7000..=7001).contains(&taken.count()));
    }

    #[test]
    fn clock_that_was_set_back_locks_nobody_out() {
        let mut limiter = Limiter::default();
        limiter
            .take(0, "a", RATE, later(100_000))
            .expect("the first");
        assert_eq!(limiter.take(0, "a", RATE, NOW), Ok(()));
    }

    #[test]
    fn table_is_bounded_and_keeps_who_comes() {
        let mut limiter = Limiter::default();
        for n in 0..3 * MAX_CLIENTS {
            limiter
                .take(0, &n.to_string(), RATE, NOW)
                .expect("each comes once");
            if n % 1000 == 0 {
                let _ = limiter.take(0, "greedy", RATE, NOW);
            }
        }
        assert!(limiter.young.len() + limiter.old.len() <= MAX_CLIENTS);
        assert!(limiter.take(0, "greedy", RATE, NOW).is_err());
    }
}
