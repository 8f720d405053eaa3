//! Key sets (RFC 7517 §5) and the keys in them that can verify our tokens (RFC 8037 §2).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::algorithm::Point;
use crate::base64url;
use crate::error::KeySetError;
use crate::json::{self, Object, Value};
use crate::kernel::Prepared;
use crate::kid::{Kid, thumbprint};
use crate::limits::{MAX_KEY_SET_BYTES, MAX_KEYS};
use crate::revocations::hash_prefix;

/// The keys one issuer signs with at present.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
}

/// A public key that verifies signatures.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: Kid,
    point: Point,
    prepared: Arc<Prepared>,
}

impl KeySet {
    /// Reads a JSON Web Key Set.
    ///
    /// Keys of other kinds, for other uses, without the right `kid` or with an impossible `x`
    /// are skipped one by one, so that an issuer can add new kinds (RFC 7517 §5).
    ///
    /// ```
    /// use shared_claims::KeySet;
    ///
    /// let keys = KeySet::from_json(br#"{"keys":[{"kty":"OKP","crv":"Ed25519",
    ///     "kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ///     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)?;
    /// assert_eq!(keys.len(), 1);
    /// # Ok::<(), shared_claims::KeySetError>(())
    /// ```
    ///
    /// # Errors
    /// Every variant of [`KeySetError`]; nothing of a refused document is used.
    pub fn from_json(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let text = core::str::from_utf8(document).map_err(|_| KeySetError::Malformed)?;
        let object = json::parse_object(text).ok_or(KeySetError::Malformed)?;
        let entries = object
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::Malformed)?;
        let entries = as_objects(entries).ok_or(KeySetError::Malformed)?;
        check_entries(&entries)?;
        let keys: Vec<_> = entries
            .iter()
            .filter_map(|entry| usable_key(entry))
            .collect();
        if keys.is_empty() {
            Err(KeySetError::NoUsableKey)
        } else {
            Ok(Self { keys })
        }
    }

    /// The set of these public keys, each 32 bytes as in RFC 8032 §5.1.2.
    ///
    /// # Errors
    /// [`KeySetError::TooManyKeys`], [`KeySetError::DuplicateKeyId`], and
    /// [`KeySetError::NoUsableKey`] for bytes that are no key.
    pub fn from_public_keys(
        public_keys: impl IntoIterator<Item = [u8; 32]>,
    ) -> Result<Self, KeySetError> {
        let mut set = Self::default();
        for bytes in public_keys {
            let key = VerifyingKey::from_bytes(&bytes).ok_or(KeySetError::NoUsableKey)?;
            if set.keys.len() == MAX_KEYS {
                return Err(KeySetError::TooManyKeys);
            }
            if set.get(&key.kid).is_some() {
                return Err(KeySetError::DuplicateKeyId);
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// The key of this id.
    pub fn get(&self, kid: &Kid) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == *kid)
    }

    /// Goes on with what `other` has prepared for keys that are in both: verifying by a key becomes
    /// faster with its use. [`KeyCache`](crate::KeyCache) does this by itself.
    pub fn inherit(&mut self, other: &Self) {
        for key in &mut self.keys {
            if let Some(same) = other.get(&key.kid) {
                key.prepared = Arc::clone(&same.prepared);
            }
        }
    }

    /// The ids of all keys, in the order of the document.
    pub fn kids(&self) -> impl Iterator<Item = Kid> + '_ {
        self.keys.iter().map(|key| key.kid)
    }

    /// How many keys can verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can verify.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The same for sets of the same keys in any order, different for others: what a cache of
    /// verified tokens is keyed by besides the token.
    pub fn fingerprint(&self) -> u64 {
        let hashes = self
            .kids()
            .map(|kid| u64::from_be_bytes(hash_prefix(kid.as_str())));
        hashes.fold(0, u64::wrapping_add)
    }

    /// The JSON Web Key Set of these keys.
    ///
    /// `alg` is left out: RFC 9864 replaces `EdDSA` by `Ed25519`, and libraries that compare
    /// it with a token's header refuse the other spelling.
    pub fn to_json(&self) -> String {
        let mut out = String::from(r#"{"keys":["#);
        for (i, key) in self.keys.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            out.push_str(r#"{"kty":"OKP","crv":"Ed25519","use":"sig","kid":""#);
            out.push_str(key.kid.as_str());
            out.push_str(r#"","x":""#);
            base64url::encode_into(key.as_bytes(), &mut out);
            out.push_str(r#""}"#);
        }
        out.push_str("]}");
        out
    }
}

impl VerifyingKey {
    /// `None` unless `public_key` is the canonical encoding of a point whose order is not small.
    pub fn from_bytes(public_key: &[u8; 32]) -> Option<Self> {
        let point = Point::from_bytes(public_key)?;
        Some(Self {
            kid: thumbprint(public_key),
            point,
            prepared: Arc::default(),
        })
    }

    /// The thumbprint of this key.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The 32 bytes of RFC 8032 §5.1.2.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.point.as_bytes()
    }

    /// Like [`verify_signature`](crate::verify_signature), with the key prepared.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature
            .try_into()
            .is_ok_and(|signature| self.point.verify(message, signature))
    }

    /// What makes the next verification faster than the first.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}

fn as_objects<'v, 'a>(values: &'v [Value<'a>]) -> Option<Vec<&'v Object<'a>>> {
    values
        .iter()
        .map(|value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        })
        .collect()
}

/// What makes the whole document untrustworthy, whatever kind of key it is found in.
fn check_entries(entries: &[&Object<'_>]) -> Result<(), KeySetError> {
    if entries.len() > MAX_KEYS {
        return Err(KeySetError::TooManyKeys);
    }
    if entries
        .iter()
        .any(|entry| SECRET_MEMBERS.iter().any(|name| entry.get(name).is_some()))
    {
        return Err(KeySetError::SecretKey);
    }
    let kids: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.get("kid"))
        .collect();
    let repeated = |i: usize| kids[..i].contains(&kids[i]);
    if (0..kids.len()).any(repeated) {
        return Err(KeySetError::DuplicateKeyId);
    }
    Ok(())
}

fn usable_key(entry: &Object<'_>) -> Option<VerifyingKey> {
    let text = |name| entry.get(name).and_then(Value::as_str);
    if text("kty") != Some("OKP") || text("crv") != Some("Ed25519") || !may_verify(entry) {
        return None;
    }
    let x = base64url::decode(text("x")?.as_bytes())?;
    let key = VerifyingKey::from_bytes(x.as_slice().try_into().ok()?)?;
    (text("kid") == Some(key.kid.as_str())).then_some(key)
}

/// Whether `use`, `key_ops` and `alg` (RFC 7517 §4.2–4.4) allow verifying tokens. Each may be
/// absent; each that is there must allow it.
fn may_verify(entry: &Object<'_>) -> bool {
    let allows = |name, test: &dyn Fn(&Value<'_>) -> bool| entry.get(name).is_none_or(test);
    allows("use", &|value| value.as_str() == Some("sig"))
        && allows("alg", &|value| {
            matches!(value.as_str(), Some("EdDSA" | "Ed25519"))
        })
        && allows("key_ops", &|value| {
            let ops = value.as_array().unwrap_or_default();
            ops.iter().any(|op| op.as_str() == Some("verify"))
        })
}

/// Private parts of OKP, EC and RSA keys, of AKP keys, and a symmetric key (RFC 7518 §6).
const SECRET_MEMBERS: [&str; 3] = ["d", "k", "priv"];
