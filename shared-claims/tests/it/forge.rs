//! Makes tokens of any shape with the key of RFC 8037, appendix A.

use base64ct::{Base64UrlUnpadded, Encoding};
use curve25519_dalek::Scalar;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};

/// When every token is looked at unless its case says otherwise: 2026-11-18T11:06:40Z.
pub const NOW: u64 = 1_795_000_000;
pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "orders";
pub const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
pub const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// The members of an object as text, in order, so that repetitions and odd forms can be made.
#[derive(Clone)]
pub struct Members(Vec<(String, String)>);

impl Members {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a member to a JSON text.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass literals")]
    pub fn with(mut self, name: &str, json: impl ToString) -> Self {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, value)) => *value = json.to_string(),
            None => self.0.push((name.to_owned(), json.to_string())),
        }
        self
    }

    /// Adds a member even if there is one of this name.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass literals")]
    pub fn also(mut self, name: &str, json: impl ToString) -> Self {
        self.0.push((name.to_owned(), json.to_string()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// The object; names are written as they are, escapes included.
    pub fn json(&self) -> String {
        let members: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

pub fn header() -> Members {
    Members::new()
        .with("alg", r#""EdDSA""#)
        .with("typ", r#""at+jwt""#)
        .with("kid", quoted(KID))
}

pub fn claims() -> Members {
    Members::new()
        .with("iss", quoted(ISSUER))
        .with("sub", r#""user-1""#)
        .with("aud", quoted(AUDIENCE))
        .with("exp", NOW + 600)
        .with("iat", NOW - 300)
        .with("jti", r#""token-1""#)
        .with("sid", r#""session-1""#)
}

/// The public key as a JSON Web Key.
pub fn jwk() -> Members {
    Members::new()
        .with("kty", r#""OKP""#)
        .with("crv", r#""Ed25519""#)
        .with("kid", quoted(KID))
        .with("x", quoted(X))
}

/// The public key of [`other_key`] as a JSON Web Key.
pub fn other_jwk() -> Members {
    let public_key = other_key().verifying_key().to_bytes();
    let kid = shared_claims::thumbprint(&public_key);
    jwk()
        .with("kid", quoted(kid.as_str()))
        .with("x", quoted(&encode(public_key)))
}

pub fn key_set(keys: &[Members]) -> String {
    let keys: Vec<_> = keys.iter().map(Members::json).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

pub fn decode(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).expect("the tests decode what they encoded")
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&decode(D).try_into().expect("RFC 8037 gives 32 bytes"))
}

/// A second key of the same issuer.
pub fn other_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A token of these bytes, with a right signature.
pub fn signed(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    signed_text(&format!("{}.{}", encode(header), encode(payload)))
}

/// A right signature of two segments, whatever they are.
pub fn signed_text(text: &str) -> String {
    signed_by(&key(), text)
}

pub fn signed_by(key: &SigningKey, text: &str) -> String {
    format!("{text}.{}", encode(key.sign(text.as_bytes()).to_bytes()))
}

/// The token everything else is a variation of.
pub fn plain() -> String {
    signed(header().json(), claims().json())
}

/// The three segments of a token.
pub fn segments(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("a token has three segments")
}

/// A token whose R has the `index`th part of small order, and whose s makes up for it as far as
/// it can: verifiers that multiply by the cofactor accept it.
pub fn signed_with_torsion(index: usize) -> String {
    let text = format!("{}.{}", encode(header().json()), encode(claims().json()));
    let r = Scalar::from_bytes_mod_order([index_byte(index); 32]);
    let point = ED25519_BASEPOINT_POINT * r + EIGHT_TORSION[index];
    let (point, key) = (point.compress().to_bytes(), key());
    let hash = Sha512::new().chain_update(point);
    let hash = hash.chain_update(key.verifying_key().as_bytes());
    let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(&text).finalize().into());
    let s = r + k * key.to_scalar();
    format!("{text}.{}", encode([point, s.to_bytes()].concat()))
}

fn index_byte(index: usize) -> u8 {
    u8::try_from(index + 1).expect("there are eight")
}
