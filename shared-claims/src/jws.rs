//! The compact serialisation (RFC 7515 §3.1) of what we sign, up to the point where a key
//! is needed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base64url;
use crate::error::{Part, VerifyError};
use crate::json::{self, Object, Value};
use crate::key_set::{KeySet, VerifyingKey};
use crate::kid::Kid;
use crate::limits::MAX_TOKEN_BYTES;

/// A token whose header is acceptable and whose signature nobody has looked at.
///
/// Its one use is to learn which key to have at hand before verifying.
///
/// ```
/// use shared_claims::{UnverifiedToken, VerifyError};
///
/// let error = UnverifiedToken::parse("not-a-token").unwrap_err();
/// assert_eq!(error.code(), "malformed");
/// ```
#[derive(Clone, Debug)]
pub struct UnverifiedToken<'a>(pub(crate) Jws<'a>);

impl<'a> UnverifiedToken<'a> {
    /// Checks everything about an access token that needs no key.
    ///
    /// # Errors
    /// The refusals from [`VerifyError::TooLarge`] to [`VerifyError::MissingKeyId`].
    pub fn parse(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLarge);
        }
        Jws::parse(token, ACCESS_TOKEN_TYPE).map(Self)
    }

    /// The key that claims to have signed it.
    pub fn kid(&self) -> &Kid {
        &self.0.kid
    }
}

/// Three decoded segments under a header we accept.
#[derive(Clone, Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) kid: Kid,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Splits `text`, whose size the caller has checked, and judges its header.
    pub(crate) fn parse(text: &'a str, typ: &str) -> Result<Self, VerifyError> {
        let segments = VerifyError::Malformed(Part::Segments);
        let (signed, signature) = text.rsplit_once('.').ok_or(segments)?;
        let (header, payload) = signed.split_once('.').ok_or(segments)?;
        if payload.contains('.') {
            return Err(segments);
        }
        let header = decode(header, Part::Header)?;
        let payload = decode(payload, Part::Payload)?;
        let signature = decode(signature, Part::Signature)?;
        let kid = check_header(&header, typ)?;
        Ok(Self {
            kid,
            signed,
            payload,
            signature,
        })
    }

    /// The payload, once the named key has been found and its signature is right.
    pub(crate) fn verify(self, keys: &KeySet) -> Result<String, VerifyError> {
        self.verify_by(keys, VerifyingKey::verify)
    }

    /// The same with `is_valid` to judge the signature.
    pub(crate) fn verify_by(
        self,
        keys: &KeySet,
        is_valid: impl FnOnce(&VerifyingKey, &[u8], &[u8]) -> bool,
    ) -> Result<String, VerifyError> {
        let key = keys.get(&self.kid).ok_or(VerifyError::UnknownKey)?;
        if !is_valid(key, self.signed.as_bytes(), &self.signature) {
            return Err(VerifyError::BadSignature);
        }
        String::from_utf8(self.payload).map_err(|_| VerifyError::Malformed(Part::Payload))
    }
}

/// The `kid` of a header we accept, whatever follows it.
pub(crate) fn header_kid(text: &str, typ: &str) -> Result<Kid, VerifyError> {
    let header = text.split('.').next().unwrap_or_default();
    check_header(&decode(header, Part::Header)?, typ)
}

/// Reads a payload whose signature was right.
pub(crate) fn parse_payload(payload: &str) -> Result<Object<'_>, VerifyError> {
    json::parse_object(payload).ok_or(VerifyError::Malformed(Part::Payload))
}

fn decode(segment: &str, part: Part) -> Result<Vec<u8>, VerifyError> {
    base64url::decode(segment.as_bytes()).ok_or(VerifyError::Malformed(part))
}

/// The header's rules in their order; the first that fails names the refusal.
fn check_header(header: &[u8], typ: &str) -> Result<Kid, VerifyError> {
    if let Some(kid) = usual_kid(header).filter(|_| typ == ACCESS_TOKEN_TYPE) {
        return Ok(kid);
    }
    let malformed = VerifyError::Malformed(Part::Header);
    let text = core::str::from_utf8(header).map_err(|_| malformed)?;
    let header = json::parse_object(text).ok_or(malformed)?;
    let member = |name| header.get(name).and_then(Value::as_str);
    if !matches!(member("alg"), Some("EdDSA" | "Ed25519")) {
        return Err(VerifyError::UnsupportedAlgorithm);
    }
    if CRITICAL_MEMBERS
        .iter()
        .any(|name| header.get(name).is_some())
    {
        return Err(VerifyError::CriticalHeader);
    }
    if !member("typ").is_some_and(|value| is_type(value, typ)) {
        return Err(VerifyError::UnsupportedType);
    }
    member("kid")
        .and_then(Kid::parse)
        .ok_or(VerifyError::MissingKeyId)
}

/// The `kid` of a header written as our issuer writes it, which meets every rule: a key id has no
/// character that means anything in JSON. Nearly all headers that are worth being fast for.
fn usual_kid(header: &[u8]) -> Option<Kid> {
    let kid = header.strip_prefix(USUAL_HEADER)?.strip_suffix(b"\"}")?;
    Kid::parse(core::str::from_utf8(kid).ok()?)
}

/// Media types compare without case, and `application/` may be left out (RFC 7515 §4.1.9).
fn is_type(value: &str, typ: &str) -> bool {
    let short = match value.split_at_checked(MEDIA_PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(MEDIA_PREFIX) => rest,
        _ => value,
    };
    short.eq_ignore_ascii_case(typ)
}

/// RFC 9068 §2.1.
pub(crate) const ACCESS_TOKEN_TYPE: &str = "at+jwt";

const USUAL_HEADER: &[u8] = br#"{"alg":"EdDSA","typ":"at+jwt","kid":""#;

const MEDIA_PREFIX: &str = "application/";

/// Members that would have us process extensions (RFC 7515 §4.1.11) or trust a key the token
/// brings along (§4.1.2, 4.1.3, 4.1.5, 4.1.6): refused whatever they contain.
const CRITICAL_MEMBERS: [&str; 5] = ["crit", "jku", "x5u", "jwk", "x5c"];
