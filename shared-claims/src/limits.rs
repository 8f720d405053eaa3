//! Every bound of this crate, with its reason.

/// A token larger than this is refused before it is split. Ours have at most 1.5 KB; 8 KiB is
/// what common proxies accept for one header line.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A key set larger than this is refused unread: 16 keys need under 4 KB.
pub const MAX_KEY_SET_BYTES: usize = 64 * 1024;

/// More keys than this refuse the key set. An issuer publishes a standby, an active and a
/// few retiring keys.
pub const MAX_KEYS: usize = 16;

/// A revocation document larger than this is refused unread: 10 000 entries need 160 KB.
pub const MAX_FEED_BYTES: usize = 256 * 1024;

/// More entries than this refuse a revocation document. A publisher with more to say
/// revokes everything with one time instead.
pub const MAX_FEED_ENTRIES: usize = 10_000;

/// Objects and arrays may stand inside each other this deep, the outermost counted.
pub const MAX_JSON_DEPTH: usize = 8;

/// An object may have this many members. Names are compared pairwise to find duplicates, so
/// that the bound keeps a hostile document from costing quadratic time.
pub const MAX_JSON_MEMBERS: usize = 128;

/// Seconds by which clocks may differ unless the policy says otherwise.
pub const DEFAULT_LEEWAY_SECS: u64 = 30;

/// No policy can grant more leeway than this: it lengthens the life of every token.
pub const MAX_LEEWAY_SECS: u64 = 120;

/// The longest life of a token unless the policy says otherwise.
pub const DEFAULT_MAX_LIFETIME_SECS: u64 = 3600;

/// The longest life of an assertion of the gateway: it is made for one request, which is under way.
pub const ASSERTION_LIFE_SECS: u64 = 60;

/// A revocation document is valid for this long after the instant it describes.
pub const FEED_LIFE_SECS: u64 = 60;
