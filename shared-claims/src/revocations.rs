//! The signed list of what is refused before it expires.
//!
//! The issuer publishes one document about all revocations that still matter. It is signed
//! by a key of its own and says which instant it describes, so that caches and proxies on the
//! way can delay it but neither forge it nor put an older one in its place.

use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::base64url;
use crate::claims::{AccessClaims, Verified};
use crate::error::{RevocationError, VerifyError};
use crate::json::{Object, Value};
use crate::jws::{self, Jws, parse_payload};
use crate::key_set::KeySet;
use crate::kid::Kid;
use crate::limits::{DEFAULT_LEEWAY_SECS, FEED_LIFE_SECS, MAX_FEED_BYTES, MAX_FEED_ENTRIES};
use crate::time::UnixTime;

/// The first 8 bytes of the SHA-256 of a session's or user's id.
///
/// Eight bytes never hide an entry; that they name a second id by chance has, with 10 000
/// entries, a probability of 10⁻¹⁵ for each token checked.
pub type Prefix = [u8; 8];

/// What a revocation document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationDocument {
    /// The issuer whose tokens it is about.
    pub iss: String,
    /// Raised when the issuer's database went back in time.
    pub epoch: u64,
    /// The number of the last revocation in it.
    pub seq: u64,
    /// Everything revoked until this instant is in it.
    pub as_of: UnixTime,
    /// When it was signed.
    pub iat: UnixTime,
    /// Keys none of whose tokens are accepted.
    pub deny_kids: Vec<Kid>,
    /// Sessions none of whose tokens are accepted.
    pub sids: Vec<Prefix>,
    /// Users whose tokens issued before an instant are not accepted.
    pub subs: Vec<(Prefix, u32)>,
    /// Tokens issued before this are not accepted, whoever they name.
    pub reject_before: Option<UnixTime>,
    /// In a delta: the `seq` it continues. All lists hold additions only.
    pub base: Option<u64>,
}

/// The revocations in force, out of a full document and the deltas that continued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations(RevocationDocument);

impl Revocations {
    /// Verifies a full document: the first one, when none is held.
    ///
    /// `feed_keys` are those of the revocation feed, never those of tokens.
    ///
    /// # Errors
    /// Every variant of [`RevocationError`] but `Older`; `WrongBase` when it is a delta.
    pub fn from_jws(
        jws: &str,
        feed_keys: &KeySet,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Self, RevocationError> {
        let document = RevocationDocument::from_jws(jws, feed_keys, issuer, now)?;
        if document.base.is_some() {
            Err(RevocationError::WrongBase)
        } else {
            Ok(Self(document))
        }
    }

    /// Verifies the next document, full or delta. The result takes the place of `self`, which
    /// stays in force when the document is refused.
    ///
    /// # Errors
    /// Every variant of [`RevocationError`].
    pub fn updated(
        &self,
        jws: &str,
        feed_keys: &KeySet,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Self, RevocationError> {
        let next = RevocationDocument::from_jws(jws, feed_keys, issuer, now)?;
        let held = &self.0;
        if (next.epoch, next.seq) < (held.epoch, held.seq) || next.as_of < held.as_of {
            return Err(RevocationError::Older);
        }
        match next.base {
            None => Ok(Self(next)),
            Some(base) if next.epoch == held.epoch && base == held.seq => self.merged(next),
            Some(_) => Err(RevocationError::WrongBase),
        }
    }

    /// Refuses a token that was revoked.
    ///
    /// # Errors
    /// [`VerifyError::Revoked`].
    pub fn check(&self, token: &Verified<AccessClaims>) -> Result<(), VerifyError> {
        self.check_parts(token.kid(), &token.sub, &token.sid, token.iat)
    }

    /// Like [`check`](Self::check), for a cache that keeps only what is needed.
    ///
    /// # Errors
    /// [`VerifyError::Revoked`].
    pub fn check_parts(
        &self,
        kid: &Kid,
        sub: &str,
        sid: &str,
        iat: UnixTime,
    ) -> Result<(), VerifyError> {
        let revoked = self.0.deny_kids.contains(kid)
            || self.0.reject_before.is_some_and(|instant| iat < instant)
            || self.0.sids.binary_search(&hash_prefix(sid)).is_ok()
            || self.cut_off(sub).is_some_and(|instant| iat < instant);
        if revoked {
            Err(VerifyError::Revoked)
        } else {
            Ok(())
        }
    }

    /// Raised when the issuer's database went back in time.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The number of the last revocation known.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// Everything revoked until this instant is known.
    pub fn as_of(&self) -> UnixTime {
        self.0.as_of
    }

    /// Seconds since the instant described.
    pub fn age_secs(&self, now: UnixTime) -> u64 {
        now.secs_since(self.0.as_of)
    }

    /// How many keys, sessions and users are listed.
    pub fn len(&self) -> usize {
        self.0.deny_kids.len() + self.0.sids.len() + self.0.subs.len()
    }

    /// Whether no key, session or user is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cut_off(&self, sub: &str) -> Option<UnixTime> {
        let prefix = hash_prefix(sub);
        let at = self
            .0
            .subs
            .binary_search_by_key(&prefix, |(prefix, _)| *prefix)
            .ok()?;
        self.0
            .subs
            .get(at)
            .map(|(_, secs)| UnixTime::from_secs(u64::from(*secs)))
    }

    /// `delta` with all that was known before.
    fn merged(&self, mut delta: RevocationDocument) -> Result<Self, RevocationError> {
        let held = &self.0;
        let unlisted = held
            .deny_kids
            .iter()
            .filter(|kid| !delta.deny_kids.contains(kid));
        let unlisted: Vec<Kid> = unlisted.copied().collect();
        delta.deny_kids.extend(unlisted);
        delta.sids = merge(&held.sids, &delta.sids, |a, b| a == b);
        delta.subs = merge(&held.subs, &delta.subs, |(a, _), (b, _)| a == b);
        delta.reject_before = delta.reject_before.max(held.reject_before);
        delta.base = None;
        delta.check_size()?;
        Ok(Self(delta))
    }
}

/// Two sorted lists as one. Of two entries of one name the larger remains, which is the later
/// cut-off: tuples compare by their first part first.
fn merge<T: Copy + Ord>(mut a: &[T], mut b: &[T], is_same: fn(&T, &T) -> bool) -> Vec<T> {
    let mut merged: Vec<T> = Vec::with_capacity(a.len() + b.len());
    loop {
        let next;
        (next, a, b) = match (a, b) {
            ([], []) => return merged,
            ([x, rest @ ..], []) => (x, rest, b),
            ([x, rest @ ..], [y, ..]) if x <= y => (x, rest, b),
            (_, [y, rest @ ..]) => (y, a, rest),
        };
        match merged.last_mut() {
            Some(last) if is_same(last, next) => *last = *next,
            _ => merged.push(*next),
        }
    }
}

impl RevocationDocument {
    /// The key that claims to have signed `jws`: the one to have at hand before verifying.
    ///
    /// # Errors
    /// [`RevocationError::TooLarge`] and [`RevocationError::Jws`].
    pub fn unverified_kid(jws: &str) -> Result<Kid, RevocationError> {
        if jws.len() > MAX_FEED_BYTES {
            return Err(RevocationError::TooLarge);
        }
        jws::header_kid(jws, FEED_TYPE).map_err(RevocationError::Jws)
    }

    /// Sorts the lists and leaves one entry of each name, as the format demands.
    pub fn normalise(&mut self) {
        self.deny_kids.sort_unstable();
        self.deny_kids.dedup();
        self.sids.sort_unstable();
        self.sids.dedup();
        self.subs.sort_unstable_by(|a, b| b.cmp(a));
        self.subs.dedup_by_key(|(prefix, _)| *prefix);
        self.subs.reverse();
    }

    fn from_jws(
        jws: &str,
        feed_keys: &KeySet,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Self, RevocationError> {
        if jws.len() > MAX_FEED_BYTES {
            return Err(RevocationError::TooLarge);
        }
        let payload = Jws::parse(jws, FEED_TYPE)
            .and_then(|jws| jws.verify(feed_keys))
            .map_err(RevocationError::Jws)?;
        let payload = parse_payload(&payload).map_err(RevocationError::Jws)?;
        Members(&payload).check_origin(issuer, now)?;
        let document = Members(&payload).document()?;
        document.check_size()?;
        Ok(document)
    }

    fn check_size(&self) -> Result<(), RevocationError> {
        let n = self.deny_kids.len() + self.sids.len() + self.subs.len();
        if n > MAX_FEED_ENTRIES {
            Err(RevocationError::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// How a session or user is named in a revocation document.
pub fn hash_prefix(id: &str) -> Prefix {
    let digest = Sha256::digest(id);
    let mut prefix = Prefix::default();
    prefix.copy_from_slice(&digest[..size_of::<Prefix>()]);
    prefix
}

/// The members of a payload whose signature was right.
struct Members<'o, 'a>(&'o Object<'a>);

impl Members<'_, '_> {
    /// Whose document it is, and whether it is of this time.
    fn check_origin(&self, issuer: &str, now: UnixTime) -> Result<(), RevocationError> {
        if self.integer("v")? != VERSION {
            return Err(RevocationError::UnsupportedVersion);
        }
        if self.text("iss")? != issuer {
            return Err(RevocationError::WrongIssuer);
        }
        let as_of = self.instant("asOf")?;
        let exp = self.instant("exp")?;
        if now >= exp.plus_secs(DEFAULT_LEEWAY_SECS) {
            return Err(RevocationError::Expired);
        }
        if as_of > now.plus_secs(DEFAULT_LEEWAY_SECS) || exp > as_of.plus_secs(FEED_LIFE_SECS) {
            return Err(RevocationError::FromFuture);
        }
        Ok(())
    }

    fn document(&self) -> Result<RevocationDocument, RevocationError> {
        Ok(RevocationDocument {
            iss: String::from(self.text("iss")?),
            epoch: self.integer("epoch")?,
            seq: self.integer("seq")?,
            as_of: self.instant("asOf")?,
            iat: self.instant("iat")?,
            deny_kids: self.list("denyKids", read_kids)?,
            sids: self.list("sids", read_sids)?,
            subs: self.list("subs", read_subs)?,
            reject_before: self.optional("rejectBefore")?.map(UnixTime::from_secs),
            base: self.optional("base")?,
        })
    }

    fn list<T>(
        &self,
        name: &str,
        read: fn(&Value<'_>) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, RevocationError> {
        self.0
            .get(name)
            .and_then(read)
            .ok_or(RevocationError::Malformed)
    }

    fn text(&self, name: &str) -> Result<&str, RevocationError> {
        self.0
            .get(name)
            .and_then(Value::as_str)
            .ok_or(RevocationError::Malformed)
    }

    fn integer(&self, name: &str) -> Result<u64, RevocationError> {
        self.0
            .get(name)
            .and_then(Value::as_integer)
            .ok_or(RevocationError::Malformed)
    }

    fn optional(&self, name: &str) -> Result<Option<u64>, RevocationError> {
        self.0.get(name).map(|_| self.integer(name)).transpose()
    }

    fn instant(&self, name: &str) -> Result<UnixTime, RevocationError> {
        self.integer(name).map(UnixTime::from_secs)
    }
}

fn read_kids(value: &Value<'_>) -> Option<Vec<Kid>> {
    value
        .as_array()?
        .iter()
        .map(|kid| Kid::parse(kid.as_str()?))
        .collect()
}

/// Prefixes end to end, each larger than the one before.
fn read_sids(value: &Value<'_>) -> Option<Vec<Prefix>> {
    let bytes = base64url::decode(value.as_str()?.as_bytes())?;
    let (prefixes, []) = bytes.as_chunks() else {
        return None;
    };
    prefixes
        .is_sorted_by(|a, b| a < b)
        .then(|| prefixes.to_vec())
}

/// Records of a prefix and a big-endian cut-off, each prefix larger than the one before.
fn read_subs(value: &Value<'_>) -> Option<Vec<(Prefix, u32)>> {
    let bytes = base64url::decode(value.as_str()?.as_bytes())?;
    let (records, []) = bytes.as_chunks::<SUB_BYTES>() else {
        return None;
    };
    let subs: Vec<_> = records.iter().map(read_sub).collect();
    subs.is_sorted_by(|(a, _), (b, _)| a < b).then_some(subs)
}

fn read_sub(record: &[u8; SUB_BYTES]) -> (Prefix, u32) {
    let (mut prefix, mut secs) = (Prefix::default(), [0; 4]);
    let (front, back) = record.split_at(prefix.len());
    prefix.copy_from_slice(front);
    secs.copy_from_slice(back);
    (prefix, u32::from_be_bytes(secs))
}

/// What sets a revocation document apart from every other JWS of the issuer.
pub(crate) const FEED_TYPE: &str = "revocations+jwt";

/// The one version of the format.
pub(crate) const VERSION: u64 = 1;

/// A prefix and a cut-off.
const SUB_BYTES: usize = size_of::<Prefix>() + size_of::<u32>();
