//! Secrets and what is derived from them.
//!
//! Every secret has a type of its own whose `Debug` prints a name, and is wiped when dropped.

use std::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Text that must not be printed: a password, a connection string, a token.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// The one secret an operator keeps: 32 bytes from which every other key is derived.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Wraps 32 bytes of randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads standard base64 of exactly 32 bytes; `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        match Base64::decode(text, bytes.as_mut()) {
            Ok(decoded) if decoded.len() == 32 => Some(Self(bytes)),
            _ => None,
        }
    }

    /// Standard base64, as it is written into the data directory in development.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64::encode_string(self.0.as_ref()))
    }

    /// What a database remembers of its master key, to tell it from another.
    pub fn check_value(&self) -> [u8; 32] {
        self.derive(Purpose::KeyCheck).mac(&[b"check"])
    }

    /// Derives the key for one purpose (HKDF-SHA256, RFC 5869).
    pub fn derive(&self, purpose: Purpose) -> DerivedKey {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.0.as_ref())
            .expand(purpose.info(), key.as_mut())
            .expect("32 bytes are a valid output length of HKDF-SHA256");
        DerivedKey(key)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// What a derived key is for. Two purposes never share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Encrypts the private part of signing keys at rest.
    SealSigningKeys,
    /// Authenticates refresh tokens.
    RefreshTokens,
    /// The value in the database that tells whether this is the right master key.
    KeyCheck,
    /// Digests of e-mail addresses that outlive the address, and of rate-limit keys.
    AddressDigests,
    /// Makes and checks links and codes in mail.
    MailLinks,
    /// Encrypts TOTP secrets at rest.
    SealSecondFactors,
    /// Authenticates the challenge between password and second factor.
    LoginChallenges,
    /// Chains the audit trail and signs its checkpoints.
    AuditChain,
    /// Encrypts webhook secrets of apps at rest.
    SealAppSecrets,
    /// Makes the codes of gifts.
    GiftCodes,
    /// Authenticates backups.
    Backups,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::SealSigningKeys => b"tollgate/1/seal-signing-keys",
            Self::RefreshTokens => b"tollgate/1/refresh-tokens",
            Self::KeyCheck => b"tollgate/1/key-check",
            Self::AddressDigests => b"tollgate/1/address-digests",
            Self::MailLinks => b"tollgate/1/mail-links",
            Self::SealSecondFactors => b"tollgate/1/seal-second-factors",
            Self::LoginChallenges => b"tollgate/1/login-challenges",
            Self::AuditChain => b"tollgate/1/audit-chain",
            Self::SealAppSecrets => b"tollgate/1/seal-app-secrets",
            Self::GiftCodes => b"tollgate/1/gift-codes",
            Self::Backups => b"tollgate/1/backups",
        }
    }
}

/// A key for one purpose.
#[derive(Clone)]
pub struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    /// The raw key, for a cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 over the parts in order.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(parts).finalize().into_bytes().into()
    }

    /// Checks an HMAC-SHA256 in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.keyed(parts).verify_slice(tag).is_ok()
    }

    fn keyed(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_ref())
            .expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey")
    }
}

/// SHA-256 of the bytes: how secrets with enough randomness of their own are stored.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Unpadded base64url, the alphabet of every id and token here.
pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_shows_only_its_name() {
        let key = MasterKey::from_bytes([7; 32]);
        assert_eq!(format!("{key:?}"), "MasterKey");
        assert_eq!(format!("{:?}", key.derive(Purpose::KeyCheck)), "DerivedKey");
        assert_eq!(
            format!("{:?}", SecretText::new("hunter2".into())),
            "SecretText"
        );
    }

    #[test]
    fn purposes_never_share_a_key() {
        let key = MasterKey::from_bytes([7; 32]);
        let derived = [
            Purpose::SealSigningKeys,
            Purpose::RefreshTokens,
            Purpose::KeyCheck,
            Purpose::AddressDigests,
            Purpose::Backups,
        ]
        .map(|purpose| *key.derive(purpose).expose());
        for (i, a) in derived.iter().enumerate() {
            assert!(derived.iter().skip(i + 1).all(|b| a != b));
        }
    }

    #[test]
    fn master_key_of_another_length_is_refused() {
        for bytes in [0, 16, 31, 33, 64] {
            assert!(MasterKey::from_base64(&Base64::encode_string(&vec![1; bytes])).is_none());
        }
        assert!(MasterKey::from_base64("not base64").is_none());
        let key = MasterKey::from_base64(&Base64::encode_string(&[1; 32])).expect("32 bytes");
        assert_eq!(*key.to_base64(), Base64::encode_string(&[1; 32]));
    }
}
