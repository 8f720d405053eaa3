//! What an access token says.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::error::{ClaimName, VerifyError};
use crate::json::{Object, Value};
use crate::kid::Kid;
use crate::time::UnixTime;

/// The claims of an access token (RFC 9068 §2.2, with a session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who issued it.
    pub iss: String,
    /// The user.
    pub sub: String,
    /// Whom it is for.
    pub aud: Vec<String>,
    /// From this instant on it is void.
    pub exp: UnixTime,
    /// Before this instant it is void.
    pub nbf: Option<UnixTime>,
    /// When it was issued.
    pub iat: UnixTime,
    /// The id of this token.
    pub jti: String,
    /// The session it was issued in.
    pub sid: String,
    /// The user's e-mail address; worth nothing unless `email_verified` is true.
    pub email: Option<String>,
    /// Whether the user has proven that the address is theirs.
    pub email_verified: Option<bool>,
    /// What the user may do.
    pub role: Option<String>,
    /// Who acts in the user's place (`act.sub`, RFC 8693 §4.1). It changes no verdict: of any
    /// other form it reads as absent.
    pub act: Option<String>,
}

/// Something a verifier has accepted; only a verifier makes one.
///
/// It says what held at the time of the verification. Time passes and sessions are revoked:
/// before a later use, ask [`Verifier::recheck`](crate::Verifier::recheck) and
/// [`Revocations::check`](crate::Revocations::check) again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    inner: T,
    kid: Kid,
    payload: String,
}

impl<T> Verified<T> {
    pub(crate) fn new(inner: T, kid: Kid, payload: String) -> Self {
        Self {
            inner,
            kid,
            payload,
        }
    }

    /// The key that signed it.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The whole payload as the JSON text that was signed, claims of other parties included.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// The claims alone, no longer marked as verified.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl AccessClaims {
    /// Reads the claims of a payload. All that must be there are looked for before the form
    /// of any is judged.
    pub(crate) fn from_payload(payload: &Object<'_>) -> Result<Self, VerifyError> {
        for name in REQUIRED {
            payload
                .get(name.as_str())
                .ok_or(VerifyError::MissingClaim(name))?;
        }
        let read = Claims(payload);
        Ok(Self {
            iss: read.required(ClaimName::Iss, text)?,
            sub: read.required(ClaimName::Sub, text)?,
            aud: read.required(ClaimName::Aud, audience)?,
            exp: read.required(ClaimName::Exp, instant)?,
            iat: read.required(ClaimName::Iat, instant)?,
            jti: read.required(ClaimName::Jti, text)?,
            sid: read.required(ClaimName::Sid, text)?,
            nbf: read.optional(ClaimName::Nbf, instant)?,
            email: read.optional(ClaimName::Email, text)?,
            email_verified: read.optional(ClaimName::EmailVerified, flag)?,
            role: read.optional(ClaimName::Role, text)?,
            act: payload.get("act").and_then(actor),
        })
    }
}

struct Claims<'o, 'a>(&'o Object<'a>);

impl Claims<'_, '_> {
    fn optional<T>(
        &self,
        name: ClaimName,
        read: fn(&Value<'_>) -> Option<T>,
    ) -> Result<Option<T>, VerifyError> {
        let read = |value| read(value).ok_or(VerifyError::InvalidClaim(name));
        self.0.get(name.as_str()).map(read).transpose()
    }

    fn required<T>(
        &self,
        name: ClaimName,
        read: fn(&Value<'_>) -> Option<T>,
    ) -> Result<T, VerifyError> {
        self.optional(name, read)?
            .ok_or(VerifyError::MissingClaim(name))
    }
}

/// Text that is not empty: an empty name names nobody.
fn text(value: &Value<'_>) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(String::from)
}

fn flag(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

/// The `sub` of an actor.
fn actor(value: &Value<'_>) -> Option<String> {
    value
        .as_object()
        .and_then(|actor| actor.get("sub"))
        .and_then(text)
}

fn instant(value: &Value<'_>) -> Option<UnixTime> {
    value.as_integer().map(UnixTime::from_secs)
}

/// A string, or an array of nothing but strings (RFC 7519 §4.1.3).
fn audience(value: &Value<'_>) -> Option<Vec<String>> {
    match value.as_array() {
        Some(names) => names.iter().map(text).collect(),
        None => text(value).map(|name| Vec::from([name])),
    }
}

const REQUIRED: [ClaimName; 7] = [
    ClaimName::Iss,
    ClaimName::Sub,
    ClaimName::Aud,
    ClaimName::Exp,
    ClaimName::Iat,
    ClaimName::Jti,
    ClaimName::Sid,
];
