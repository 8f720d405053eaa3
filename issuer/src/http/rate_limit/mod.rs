//! Rate limits: GCRA per client address and per account, in process and, where issuers share
//! them, in Redis.
//!
//! 1. Every draw is counted in process too. When Redis is away the limits go on from there at
//!    once, and no request waits longer than one short timeout for that to be noticed.
//! 2. A key in Redis is a digest: it holds no address, and lapses when its budget is whole again.
//! 3. Time in Redis is Redis' own, so that issuers whose clocks differ share one budget.

mod local;
mod model;
mod shared;

use std::net::IpAddr;

use time::OffsetDateTime;

use local::LocalTable;
pub use model::{Budget, Class, Decision, Subject, UsedUp};
pub use shared::SharedTable;

/// Budgets of everyone who drew on one lately.
#[derive(Debug)]
pub struct RateLimiter {
    scale_thousandths: u32,
    local: LocalTable,
    shared: Option<SharedTable>,
}

impl RateLimiter {
    /// Limits as documented, times `scale_thousandths` / 1000; counted together with other
    /// issuers when there is a shared table.
    pub fn new(scale_thousandths: u32, shared: Option<SharedTable>) -> Self {
        Self {
            scale_thousandths,
            local: LocalTable::default(),
            shared,
        }
    }

    /// Draws one request on the address's budget.
    pub async fn draw_for_address(
        &self,
        class: Class,
        address: IpAddr,
        now: OffsetDateTime,
    ) -> Decision {
        let (subject, wider) = Subject::of_address(address);
        if let Some((wide, factor)) = wider {
            let decision = self.draw(class, wide, factor, now).await;
            if !decision.allowed {
                return decision;
            }
        }
        self.draw(class, subject, 1, now).await
    }

    /// Draws one request on the account's budget; `digest` names it whether or not it exists.
    pub async fn draw_for_account(
        &self,
        class: Class,
        digest: [u8; 32],
        now: OffsetDateTime,
    ) -> Decision {
        // Half a digest names an account well enough, and halves the table.
        let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        self.draw(class, Subject::Account(half), 1, now).await
    }

    /// Connects to Redis when it is configured and was away; a job does it twice a second.
    pub async fn reconnect(&self) {
        if let Some(shared) = &self.shared {
            shared.reconnect().await;
        }
    }

    async fn draw(
        &self,
        class: Class,
        subject: Subject,
        factor: u32,
        now: OffsetDateTime,
    ) -> Decision {
        let budget = class.budget().scaled(factor, self.scale_thousandths);
        let now = i64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        let local = self.local.draw(class, subject, budget, now);
        match &self.shared {
            Some(shared) if class.is_shared() => {
                // In a box: every request would carry the room that a conversation with Redis takes.
                let drawn = Box::pin(shared.draw(class, subject, budget)).await;
                drawn.unwrap_or(local)
            }
            _ => local,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use time::Duration;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    async fn allowed_of(limiter: &RateLimiter, class: Class, n: u32, at: OffsetDateTime) -> usize {
        let mut n_allowed = 0;
        for _ in 0..n {
            let decision = limiter.draw_for_address(class, HOME, at).await;
            n_allowed += usize::from(decision.allowed);
        }
        n_allowed
    }

    fn limiter(scale_thousandths: u32) -> RateLimiter {
        RateLimiter::new(scale_thousandths, None)
    }

    #[tokio::test]
    async fn a_burst_up_to_the_limit_passes_and_the_next_is_refused() {
        let limiter = limiter(1000);
        assert_eq!(allowed_of(&limiter, Class::Register, 11, START).await, 10);
        let refused = limiter.draw_for_address(Class::Register, HOME, START).await;
        assert_eq!(
            (refused.allowed, refused.remaining, refused.reset_secs),
            (false, 0, 6)
        );
    }

    #[tokio::test]
    async fn one_request_is_given_back_each_interval_and_not_a_moment_earlier() {
        let limiter = limiter(1000);
        allowed_of(&limiter, Class::Register, 10, START).await;
        let almost = START + Duration::seconds(6) - Duration::microseconds(1);
        assert_eq!(allowed_of(&limiter, Class::Register, 1, almost).await, 0);
        assert_eq!(
            allowed_of(&limiter, Class::Register, 2, START + Duration::seconds(6)).await,
            1
        );
    }

    #[tokio::test]
    async fn classes_and_addresses_have_budgets_of_their_own() {
        let limiter = limiter(1000);
        allowed_of(&limiter, Class::Register, 10, START).await;
        assert_eq!(allowed_of(&limiter, Class::Login, 1, START).await, 1);
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert!(
            limiter
                .draw_for_address(Class::Register, other, START)
                .await
                .allowed
        );
    }

    #[tokio::test]
    async fn an_ipv6_client_cannot_multiply_by_changing_its_address() {
        let limiter = limiter(1000);
        let mut allowed = [0, 0];
        for i in 0..100 {
            for (n, (site, net, host)) in [(1, 0, i % 20), (2, i, 0)].into_iter().enumerate() {
                let ip = Ipv6Addr::new(0x2001, 0xdb8, site, net, 0, 0, 0, host);
                let decision = limiter
                    .draw_for_address(Class::Register, IpAddr::V6(ip), START)
                    .await;
                allowed[n] += usize::from(decision.allowed);
            }
        }
        assert_eq!(allowed, [10, 40]);
    }

    #[tokio::test]
    async fn scale_multiplies_the_limit() {
        assert_eq!(
            allowed_of(&limiter(500), Class::Register, 20, START).await,
            5
        );
        assert_eq!(
            allowed_of(&limiter(2000), Class::Register, 30, START).await,
            20
        );
    }
}
