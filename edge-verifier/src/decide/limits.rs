//! The part of a decision that counts: requests of a user, refused tokens of an address.

use std::net::IpAddr;

use shared_claims::{AccessClaims, Verified, VerifyError};

use super::{Purpose, Run};
use crate::config::Route;
use crate::forward::Forward;
use crate::limiter::Exhausted;
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::routes;

impl Run<'_, '_> {
    /// Takes one from what the route allows the user, or the address where there is no user.
    pub(super) fn count_user(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        identity: Option<&Verified<AccessClaims>>,
        forward: &mut Forward,
    ) -> Result<(), Refusal> {
        let Some(rate) = route.limits.per_user else {
            return Ok(());
        };
        let who = match identity {
            Some(token) => Some(format!("user {}", token.sub)),
            None => limited_address(request),
        };
        let Some(who) = who else { return Ok(()) };
        self.state
            .users
            .take(forward.route, &who, rate, self.now)
            .map_err(too_many)?;
        if self.state.setup.counts_users {
            forward.counted_as = Some(format!("{} {who}", route.id));
        }
        Ok(())
    }

    /// Whether the address has had too many tokens refused. Asked before a signature is verified;
    /// whoever comes with a token that is known to be good is not kept out by a neighbour.
    pub(super) fn check_failures(
        &self,
        route: &Route,
        request: &Incoming<'_>,
    ) -> Result<(), Refusal> {
        let (Some(rate), Some(who)) = (route.limits.failed_auth, limited_address(request)) else {
            return Ok(());
        };
        let index = routes::index_of(self.config, route);
        self.state
            .failures
            .look(index, &who, rate, self.now)
            .map_err(too_many)
    }

    /// Counts a token that was refused. One that has expired is what every honest client presents
    /// several times an hour. Says whom the data centre's counter is to count it for.
    pub(super) fn note_failure(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        refusal: &Refusal,
    ) -> Option<String> {
        let failed =
            matches!(refusal, Refusal::Token(error) if !matches!(error, VerifyError::Expired));
        let rate = route
            .limits
            .failed_auth
            .filter(|_| failed && self.purpose == Purpose::Forward)?;
        let who = limited_address(request)?;
        let index = routes::index_of(self.config, route);
        // Whether it was the last one is said to the next.
        let _ = self.state.failures.take(index, &who, rate, self.now);
        let counted = self.state.setup.counts_failures;
        counted.then(|| format!("{} {who}", route.id))
    }
}

/// The address of a client as limits know it: in IPv6 whoever has one has the 2⁶⁴ around it.
fn limited_address(request: &Incoming<'_>) -> Option<String> {
    Some(match request.client_ip()? {
        IpAddr::V4(address) => format!("address {address}"),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64;
            format!("network {network:x}")
        }
    })
}

const fn too_many(exhausted: Exhausted) -> Refusal {
    Refusal::RateLimited {
        retry_after_secs: exhausted.retry_after_secs,
    }
}
