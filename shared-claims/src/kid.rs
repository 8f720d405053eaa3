//! The name of a verifying key: its thumbprint.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::base64url;

/// The id of a key: 43 base64url characters, checked before anything is looked up by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid([u8; Kid::LEN]);

impl Kid {
    /// Characters of a SHA-256 thumbprint in base64url.
    pub const LEN: usize = 43;

    /// `None` unless `text` is 43 base64url characters.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::LEN] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|&byte| base64url::sextet(byte).is_some())
            .then_some(Self(bytes))
    }

    /// The 43 characters.
    pub fn as_str(&self) -> &str {
        // `expect` would bring the printing of errors into every WebAssembly module.
        let Ok(text) = core::str::from_utf8(&self.0) else {
            unreachable!("a kid is ASCII by construction");
        };
        text
    }
}

/// The RFC 7638 thumbprint of an Ed25519 public key (RFC 8037 §2 and appendix A.3).
///
/// ```
/// // The key of RFC 8037, appendix A.
/// let public_key = [
///     0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
///     0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
///     0x51, 0x1a,
/// ];
/// let kid = shared_claims::thumbprint(&public_key);
/// assert_eq!(kid.as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// ```
#[expect(
    clippy::missing_panics_doc,
    reason = "32 bytes are always 43 characters"
)]
pub fn thumbprint(public_key: &[u8; 32]) -> Kid {
    let mut hash = Sha256::new();
    hash.update(br#"{"crv":"Ed25519","kty":"OKP","x":""#);
    hash.update(base64url::encode(public_key));
    hash.update(br#""}"#);
    let text = base64url::encode(&hash.finalize());
    Kid::parse(&text).expect("32 bytes are 43 base64url characters")
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({})", self.as_str())
    }
}
