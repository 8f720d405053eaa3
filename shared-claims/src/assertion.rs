//! What the gateway tells a backend about one request, signed: for backends that can be reached
//! around the gateway.

use alloc::string::String;

use crate::claims::Verified;
use crate::error::{ClaimName, Part, VerifyError};
use crate::json::Object;
use crate::jws::{Jws, parse_payload};
use crate::key_set::KeySet;
use crate::kid::Kid;
use crate::limits::{ASSERTION_LIFE_SECS, MAX_TOKEN_BYTES};
use crate::policy::Policy;
use crate::time::UnixTime;

/// What an assertion says: that the gateway has let this one request through to this backend, and
/// for whom. It is no access token, and no access token is an assertion: their headers name
/// different types.
///
/// It holds for one method, path and query, and for a minute. Whoever has seen one can repeat the
/// same request within that minute and the leeway; a backend for which that matters remembers
/// `jti` for as long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeAssertion {
    /// The gateway (`iss`).
    pub iss: String,
    /// The backend it is for (`aud`).
    pub backend: String,
    /// The user (`sub`); none when the route let the request pass without a token.
    pub sub: Option<String>,
    /// The session of the access token (`sid`).
    pub sid: Option<String>,
    /// What the user may do (`role`).
    pub role: Option<String>,
    /// The id of the request (`jti`), which is also in `X-Request-Id`.
    pub jti: String,
    /// When it was signed (`iat`).
    pub iat: UnixTime,
    /// From this instant on it is void (`exp`).
    pub exp: UnixTime,
    /// The method of the request (`htm`).
    pub method: String,
    /// Path and query of the request, byte for byte as they were forwarded (`htu`).
    pub target: String,
}

/// The request that came with an assertion, as the backend has received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Path and query as on the request line, before anything has decoded or changed them.
    pub target: &'a str,
}

/// An assertion whose header is acceptable and whose signature nobody has looked at.
///
/// Its one use is to learn which key to have at hand before verifying.
#[derive(Clone, Debug)]
pub struct UnverifiedAssertion<'a>(Jws<'a>);

impl<'a> UnverifiedAssertion<'a> {
    /// Checks everything about an assertion that needs no key.
    ///
    /// # Errors
    /// The refusals from [`VerifyError::TooLarge`] to [`VerifyError::MissingKeyId`].
    pub fn parse(jws: &'a str) -> Result<Self, VerifyError> {
        if jws.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLarge);
        }
        Jws::parse(jws, ASSERTION_TYPE).map(Self)
    }

    /// The key that claims to have signed it.
    pub fn kid(&self) -> &Kid {
        &self.0.kid
    }

    /// The rest of [`EdgeAssertion::from_jws`] for an assertion parsed to learn its `kid`.
    ///
    /// # Errors
    /// The refusals from [`VerifyError::UnknownKey`] on.
    pub fn verify(
        self,
        keys: &KeySet,
        policy: &Policy,
        received: Received<'_>,
        now: UnixTime,
    ) -> Result<Verified<EdgeAssertion>, VerifyError> {
        let kid = self.0.kid;
        let payload = self.0.verify(keys)?;
        let assertion = EdgeAssertion::from_payload(&parse_payload(&payload)?)
            .ok_or(VerifyError::Malformed(Part::Payload))?;
        assertion.check(policy, received, now)?;
        Ok(Verified::new(assertion, kid, payload))
    }
}

impl EdgeAssertion {
    /// Verifies the assertion of a request. The policy names the gateway as the issuer and the
    /// backend as the audience.
    ///
    /// ```
    /// use shared_claims::sign::SigningKey;
    /// use shared_claims::{EdgeAssertion, KeySet, Policy, Received, UnixTime, VerifyError};
    ///
    /// let edge = SigningKey::from_seed(&[1; 32]).expect("the seed is not zero");
    /// let now = UnixTime::from_secs(1_795_000_000);
    /// let jws = edge.sign_assertion(&EdgeAssertion {
    ///     iss: "tollgate-edge".into(),
    ///     backend: "orders".into(),
    ///     sub: Some("V1StGXR8_Z5jdHi6B-myT".into()),
    ///     sid: Some("session-1".into()),
    ///     role: None,
    ///     jti: "0123456789abcdef0123456789abcdef".into(),
    ///     iat: now,
    ///     exp: now.plus_secs(60),
    ///     method: "POST".into(),
    ///     target: "/orders?draft=1".into(),
    /// });
    /// let keys = KeySet::from_public_keys([*edge.public_key()]).expect("a good key");
    /// let policy = Policy::new("tollgate-edge", "orders");
    /// let received = Received { method: "POST", target: "/orders?draft=1" };
    /// let verified = EdgeAssertion::from_jws(&jws, &keys, &policy, received, now)?;
    /// assert_eq!(verified.sub.as_deref(), Some("V1StGXR8_Z5jdHi6B-myT"));
    /// let other = Received { target: "/orders", ..received };
    /// assert!(EdgeAssertion::from_jws(&jws, &keys, &policy, other, now).is_err());
    /// # Ok::<(), VerifyError>(())
    /// ```
    ///
    /// # Errors
    /// The refusals of a token from [`VerifyError::TooLarge`] to [`VerifyError::BadSignature`];
    /// `Malformed` when a member is missing or of another form; then those from `WrongIssuer` to
    /// `LifetimeTooLong`; `InvalidClaim` that names `htm` or `htu` when it was made for another
    /// method, path or query.
    pub fn from_jws(
        jws: &str,
        keys: &KeySet,
        policy: &Policy,
        received: Received<'_>,
        now: UnixTime,
    ) -> Result<Verified<Self>, VerifyError> {
        UnverifiedAssertion::parse(jws)?.verify(keys, policy, received, now)
    }

    fn check(
        &self,
        policy: &Policy,
        received: Received<'_>,
        now: UnixTime,
    ) -> Result<(), VerifyError> {
        let leeway = policy.leeway.as_secs();
        if self.iss != policy.issuer {
            return Err(VerifyError::WrongIssuer);
        }
        if !policy.audience.contains(&self.backend) {
            return Err(VerifyError::WrongAudience);
        }
        if now >= self.exp.plus_secs(leeway) {
            return Err(VerifyError::Expired);
        }
        if self.iat > now.plus_secs(leeway) {
            return Err(VerifyError::IssuedInFuture);
        }
        if self.exp.secs_since(self.iat) > ASSERTION_LIFE_SECS {
            return Err(VerifyError::LifetimeTooLong);
        }
        if self.method != received.method {
            return Err(VerifyError::InvalidClaim(ClaimName::Htm));
        }
        if self.target != received.target {
            return Err(VerifyError::InvalidClaim(ClaimName::Htu));
        }
        Ok(())
    }

    fn from_payload(payload: &Object<'_>) -> Option<Self> {
        let text = |name| payload.get(name)?.as_str().map(String::from);
        let instant = |name| payload.get(name)?.as_integer().map(UnixTime::from_secs);
        // A member that is there and is no text must not read as one that is not there.
        let optional = |name| {
            payload
                .get(name)
                .map_or(Some(None), |_| text(name).map(Some))
        };
        Some(Self {
            iss: text("iss")?,
            backend: text("aud")?,
            sub: optional("sub")?,
            sid: optional("sid")?,
            role: optional("role")?,
            jti: text("jti")?,
            iat: instant("iat")?,
            exp: instant("exp")?,
            method: text("htm")?,
            target: text("htu")?,
        })
    }
}

/// Not `at+jwt`, so that neither is ever taken for the other (RFC 8725 §3.11).
pub(crate) const ASSERTION_TYPE: &str = "edge-assertion+jwt";
