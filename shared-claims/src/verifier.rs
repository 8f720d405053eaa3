//! The verdict on an access token.

use core::ops::Range;

use crate::claims::{AccessClaims, Verified};
use crate::error::VerifyError;
use crate::jws::{UnverifiedToken, parse_payload};
use crate::kernel::{Kernel, KernelReport};
use crate::key_set::{KeySet, VerifyingKey};
use crate::policy::Policy;
use crate::time::UnixTime;

/// Verifies access tokens against one policy.
///
/// ```
/// use shared_claims::{KeySet, Policy, UnixTime, Verifier, VerifyError};
///
/// let verifier = Verifier::new(Policy::new("https://id.example.com", "orders"));
/// let keys = KeySet::default(); // KeySet::from_json(…) of what the issuer publishes
/// let now = UnixTime::from_secs(1_795_000_000);
/// match verifier.verify("a.b.c", &keys, now) {
///     Ok(claims) => println!("hello {}", claims.sub),
///     Err(error) => assert_eq!(error.code(), "malformed"),
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    policy: Policy,
    kernel: Kernel,
}

impl Verifier {
    /// A verifier for this policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            kernel: Kernel::default(),
        }
    }

    /// The policy it verifies against.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Verifies `token`, all but revocation, which is [`Revocations::check`](crate::Revocations::check).
    ///
    /// # Errors
    /// The first rule that fails, in the order of the variants of [`VerifyError`].
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<Verified<AccessClaims>, VerifyError> {
        self.verify_parsed(None, UnverifiedToken::parse(token)?, keys, now)
    }

    /// Like [`verify`](Self::verify), for `audience` instead of those of the policy.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_for(
        &self,
        audience: &str,
        token: &str,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<Verified<AccessClaims>, VerifyError> {
        self.verify_parsed(Some(audience), UnverifiedToken::parse(token)?, keys, now)
    }

    /// The rest of [`verify`](Self::verify) for a token parsed to learn its `kid`.
    ///
    /// # Errors
    /// The refusals from [`VerifyError::UnknownKey`] on.
    pub fn verify_parsed(
        &self,
        audience: Option<&str>,
        token: UnverifiedToken<'_>,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<Verified<AccessClaims>, VerifyError> {
        let kid = *token.kid();
        let is_valid = |key: &VerifyingKey, message: &[u8], signature: &[u8]| {
            self.kernel.verify(key, message, signature, now)
        };
        let payload = token.0.verify_by(keys, is_valid)?;
        let claims = AccessClaims::from_payload(&parse_payload(&payload)?)?;
        self.check_claims(audience, &claims, now)?;
        Ok(Verified::new(claims, kid, payload))
    }

    /// What the fast kernel has done so far. When `n_alarms` grows, caches of verified tokens
    /// are to be emptied: what put a token there may have been wrong.
    pub fn kernel(&self) -> KernelReport {
        self.kernel.report()
    }

    /// Whether a token verified earlier still meets the policy: for caches of verified tokens.
    ///
    /// # Errors
    /// The refusals from [`VerifyError::WrongIssuer`] to [`VerifyError::LifetimeTooLong`].
    pub fn recheck(
        &self,
        audience: Option<&str>,
        token: &Verified<AccessClaims>,
        now: UnixTime,
    ) -> Result<(), VerifyError> {
        self.check_claims(audience, token, now)
    }

    /// From when on and until when this policy's rules about time accept a token that they
    /// accept at some time: for caches that look at nothing but the clock.
    pub fn lifetime_of(&self, claims: &AccessClaims) -> Range<UnixTime> {
        let leeway = self.policy.leeway.as_secs();
        let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
        begins.minus_secs(leeway)..claims.exp.plus_secs(leeway)
    }

    fn check_claims(
        &self,
        audience: Option<&str>,
        claims: &AccessClaims,
        now: UnixTime,
    ) -> Result<(), VerifyError> {
        if claims.iss != self.policy.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if !claims.aud.iter().any(|name| self.is_ours(audience, name)) {
            return Err(VerifyError::WrongAudience);
        }
        self.check_times(claims, now)
    }

    fn is_ours(&self, audience: Option<&str>, name: &str) -> bool {
        match audience {
            Some(audience) => audience == name,
            None => self.policy.audience.iter().any(|audience| audience == name),
        }
    }

    fn check_times(&self, claims: &AccessClaims, now: UnixTime) -> Result<(), VerifyError> {
        let leeway = self.policy.leeway.as_secs();
        let latest_now = now.plus_secs(leeway);
        if now >= claims.exp.plus_secs(leeway) {
            return Err(VerifyError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf > latest_now) {
            return Err(VerifyError::NotYetValid);
        }
        if claims.iat > latest_now {
            return Err(VerifyError::IssuedInFuture);
        }
        if claims.exp.secs_since(claims.iat) > self.policy.max_lifetime_secs {
            return Err(VerifyError::LifetimeTooLong);
        }
        Ok(())
    }
}
