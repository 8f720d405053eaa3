//! Signing, for the issuer.

use alloc::string::String;
use core::fmt::{self, Write};

use ed25519_compact::{KeyPair, Seed};

use crate::assertion::{ASSERTION_TYPE, EdgeAssertion};
use crate::base64url;
use crate::claims::AccessClaims;
use crate::json::write_string;
use crate::jws::ACCESS_TOKEN_TYPE;
use crate::kid::{Kid, thumbprint};
use crate::limits::FEED_LIFE_SECS;
use crate::receipt::{RECEIPT_TYPE, Receipt};
use crate::revocations::{FEED_TYPE, RevocationDocument, VERSION};
use crate::time::UnixTime;

/// A private key with all that can be computed once: signing costs one signature and no
/// derivation. It is wiped when dropped.
pub struct SigningKey {
    #[cfg(not(feature = "fast-sign"))]
    secret: ed25519_compact::SecretKey,
    #[cfg(feature = "fast-sign")]
    by_tables: ed25519_dalek::SigningKey,
    public_key: [u8; 32],
    kid: Kid,
    /// The encoded header of access tokens with the dot behind it.
    token_header: String,
    /// The encoded header of revocation documents with the dot behind it.
    feed_header: String,
    /// The encoded header of receipts with the dot behind it.
    receipt_header: String,
    /// The encoded header of the gateway's assertions with the dot behind it.
    assertion_header: String,
}

/// What a signing key is derived from, for those who derive it when they need it: that costs a
/// fresh instance of WebAssembly milliseconds. It is wiped when dropped.
pub struct SigningSeed(Seed);

impl SigningSeed {
    /// Reads it as people keep it: 32 secret random bytes as base64url without padding, 43
    /// characters. `None` for anything else, and for all zeros.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = base64url::decode(text.as_bytes())?;
        let seed = bytes.as_slice().try_into().ok().map(Seed::new);
        bytes.fill(0);
        seed.filter(|seed| **seed != [0; 32]).map(Self)
    }

    /// The key.
    pub fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.0).expect("it is not zero")
    }
}

impl PartialEq for SigningSeed {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Drop for SigningSeed {
    fn drop(&mut self) {
        self.0.wipe_mut();
    }
}

impl fmt::Debug for SigningSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSeed")
    }
}

impl SigningKey {
    /// The key that RFC 8032 §5.1.5 derives from 32 secret random bytes. `None` for all
    /// zeros, which is memory nobody has filled.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = KeyPair::try_from_seed(Seed::new(*seed)).ok()?;
        let public_key = *pair.pk;
        let kid = thumbprint(&public_key);
        Some(Self {
            token_header: encoded_header(ACCESS_TOKEN_TYPE, &kid),
            feed_header: encoded_header(FEED_TYPE, &kid),
            receipt_header: encoded_header(RECEIPT_TYPE, &kid),
            assertion_header: encoded_header(ASSERTION_TYPE, &kid),
            #[cfg(not(feature = "fast-sign"))]
            secret: pair.sk,
            #[cfg(feature = "fast-sign")]
            by_tables: ed25519_dalek::SigningKey::from_bytes(seed),
            public_key,
            kid,
        })
    }

    /// The 32 bytes of RFC 8032 §5.1.2.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The thumbprint of the public key.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// An access token with these claims.
    pub fn sign_access_token(&self, claims: &AccessClaims) -> String {
        self.sign(&self.token_header, &claims_json(claims))
    }

    /// A revocation document, valid for 60 s after the instant it describes.
    pub fn sign_revocations(&self, document: &RevocationDocument) -> String {
        self.sign(&self.feed_header, &document_json(document))
    }

    /// A receipt of a charge.
    pub fn sign_receipt(&self, receipt: &Receipt) -> String {
        self.sign(&self.receipt_header, &receipt_json(receipt))
    }

    /// An assertion of the gateway about one request.
    pub fn sign_assertion(&self, assertion: &EdgeAssertion) -> String {
        self.sign(&self.assertion_header, &assertion_json(assertion))
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let mut jws = String::with_capacity(header.len() + payload.len() / 3 * 4 + ROOM);
        jws.push_str(header);
        base64url::encode_into(payload.as_bytes(), &mut jws);
        let signature = self.signature(jws.as_bytes());
        jws.push('.');
        base64url::encode_into(&signature, &mut jws);
        jws
    }

    /// The gateway signs each request it forwards and the issuer each refresh: there the base
    /// point's table matters. Ed25519 leaves no choice: both libraries make the same signature.
    #[cfg(feature = "fast-sign")]
    fn signature(&self, text: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer as _;
        self.by_tables.sign(text).to_bytes()
    }

    #[cfg(not(feature = "fast-sign"))]
    fn signature(&self, text: &[u8]) -> [u8; 64] {
        *self.secret.sign(text, None)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

fn encoded_header(typ: &str, kid: &Kid) -> String {
    let mut json = Json::new();
    json.text("alg", "EdDSA");
    json.text("typ", typ);
    json.text("kid", kid.as_str());
    let mut header = base64url::encode(json.finish().as_bytes());
    header.push('.');
    header
}

fn claims_json(claims: &AccessClaims) -> String {
    let mut json = Json::new();
    json.text("iss", &claims.iss);
    json.text("sub", &claims.sub);
    match claims.aud.as_slice() {
        [audience] => json.text("aud", audience),
        audiences => json.texts("aud", audiences),
    }
    json.integer("exp", Some(claims.exp.as_secs()));
    json.integer("nbf", claims.nbf.map(UnixTime::as_secs));
    json.integer("iat", Some(claims.iat.as_secs()));
    json.text("jti", &claims.jti);
    json.text("sid", &claims.sid);
    if let Some(email) = &claims.email {
        json.text("email", email);
    }
    if let Some(verified) = claims.email_verified {
        json.raw("email_verified", if verified { "true" } else { "false" });
    }
    if let Some(role) = &claims.role {
        json.text("role", role);
    }
    if let Some(actor) = &claims.act {
        let mut inner = Json::new();
        inner.text("sub", actor);
        json.raw("act", &inner.finish());
    }
    json.finish()
}

fn receipt_json(receipt: &Receipt) -> String {
    let mut json = Json::new();
    json.text("iss", &receipt.iss);
    json.text("sub", &receipt.sub);
    json.text("aud", &receipt.app_id);
    json.text("jti", &receipt.transaction_id);
    json.integer("iat", Some(receipt.iat.as_secs()));
    json.integer("amount", Some(receipt.amount));
    json.text("description", &receipt.description);
    json.integer("spentAt", Some(receipt.spent_at.as_secs()));
    json.finish()
}

fn assertion_json(assertion: &EdgeAssertion) -> String {
    let mut json = Json::new();
    json.text("iss", &assertion.iss);
    json.text("aud", &assertion.backend);
    for (name, value) in [
        ("sub", &assertion.sub),
        ("sid", &assertion.sid),
        ("role", &assertion.role),
    ] {
        if let Some(value) = value {
            json.text(name, value);
        }
    }
    json.text("jti", &assertion.jti);
    json.integer("iat", Some(assertion.iat.as_secs()));
    json.integer("exp", Some(assertion.exp.as_secs()));
    json.text("htm", &assertion.method);
    json.text("htu", &assertion.target);
    json.finish()
}

fn document_json(document: &RevocationDocument) -> String {
    let mut document = document.clone();
    document.normalise();
    let records = document
        .subs
        .iter()
        .map(|(prefix, secs)| (prefix, secs.to_be_bytes()));
    let subs: alloc::vec::Vec<u8> = records
        .flat_map(|(prefix, secs)| prefix.iter().copied().chain(secs))
        .collect();
    let mut json = Json::new();
    json.integer("v", Some(VERSION));
    json.text("iss", &document.iss);
    json.integer("epoch", Some(document.epoch));
    json.integer("seq", Some(document.seq));
    json.integer("asOf", Some(document.as_of.as_secs()));
    json.integer("iat", Some(document.iat.as_secs()));
    json.integer(
        "exp",
        Some(document.as_of.plus_secs(FEED_LIFE_SECS).as_secs()),
    );
    json.texts("denyKids", document.deny_kids.iter().map(Kid::as_str));
    json.text("sids", &base64url::encode(document.sids.as_flattened()));
    json.text("subs", &base64url::encode(&subs));
    json.integer(
        "rejectBefore",
        document.reject_before.map(UnixTime::as_secs),
    );
    json.integer("base", document.base);
    json.finish()
}

/// Writes one JSON object.
struct Json(String);

impl Json {
    fn new() -> Self {
        Self(String::from("{"))
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(value, &mut self.0);
    }

    fn texts(&mut self, name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        self.name(name);
        self.0.push('[');
        for (i, value) in values.into_iter().enumerate() {
            self.0.push_str(if i == 0 { "" } else { "," });
            write_string(value.as_ref(), &mut self.0);
        }
        self.0.push(']');
    }

    fn integer(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.name(name);
            write!(self.0, "{value}").expect("writing to a String cannot fail");
        }
    }

    fn name(&mut self, name: &str) {
        self.0.push_str(if self.0.len() == 1 { "" } else { "," });
        write_string(name, &mut self.0);
        self.0.push(':');
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Room for rounding and for a dot and a signature of 86 characters.
const ROOM: usize = 4 + 1 + 86;

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;

    #[test]
    fn both_libraries_make_the_signature_that_is_sent() {
        for number in 1..=64 {
            let seed = [number; 32];
            let key = SigningKey::from_seed(&seed).expect("not all zeros");
            let payload = "x".repeat(usize::from(number) * 7);
            let jws = key.sign(&key.token_header, &payload);
            let (text, signature) = jws.rsplit_once('.').expect("a signature");
            let compact = KeyPair::from_seed(Seed::new(seed)).sk;
            let dalek = ed25519_dalek::SigningKey::from_bytes(&seed);
            let expected = *compact.sign(text, None);
            assert_eq!(dalek.sign(text.as_bytes()).to_bytes(), expected, "{number}");
            assert_eq!(signature, base64url::encode(&expected), "{number}");
        }
    }
}
