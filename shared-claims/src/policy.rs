//! What a verifier demands of a token beyond a good signature.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::{DEFAULT_LEEWAY_SECS, DEFAULT_MAX_LIFETIME_SECS, MAX_LEEWAY_SECS};

/// What a token must say. There is no default: a policy names its issuer and audience.
///
/// ```
/// use shared_claims::{Leeway, Policy};
///
/// let policy = Policy {
///     leeway: Leeway::from_secs(5).expect("at most 120"),
///     ..Policy::new("https://id.example.com", "orders")
/// };
/// assert_eq!(policy.audience, ["orders"]);
/// ```
///
/// ```compile_fail
/// let policy = shared_claims::Policy::default();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `iss` must be this text, byte for byte.
    pub issuer: String,
    /// `aud` must name at least one of these. Empty accepts nothing.
    pub audience: Vec<String>,
    /// How far the clocks of the issuer and of this machine may differ.
    pub leeway: Leeway,
    /// `exp` − `iat` may be at most this.
    pub max_lifetime_secs: u64,
}

impl Policy {
    /// The policy for one audience, with a leeway of 30 s and a life of at most an hour.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: Vec::from([audience.into()]),
            leeway: Leeway::default(),
            max_lifetime_secs: DEFAULT_MAX_LIFETIME_SECS,
        }
    }
}

/// Seconds by which clocks may differ, at most 120.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leeway(u64);

impl Leeway {
    /// `None` above 120 s.
    pub const fn from_secs(secs: u64) -> Option<Self> {
        if secs <= MAX_LEEWAY_SECS {
            Some(Self(secs))
        } else {
            None
        }
    }

    /// The leeway in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl Default for Leeway {
    fn default() -> Self {
        Self(DEFAULT_LEEWAY_SECS)
    }
}
