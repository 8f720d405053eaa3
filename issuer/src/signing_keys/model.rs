//! Keys and their states, without any input or output.

use std::fmt;

use shared_claims::sign::SigningKey;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::db::{AsRetry, DbError};

/// What a key signs. A key of one purpose never verifies for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Access tokens.
    AccessToken,
    /// The revocation feed.
    RevocationFeed,
}

impl Purpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AccessToken, Self::RevocationFeed];

    /// As the database names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RevocationFeed => "revocation_feed",
        }
    }

    /// The reverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// Where a key is in its life: pending → active → retiring → removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not signing: the standby.
    Pending,
    /// Signing.
    Active,
    /// Published until its last token has expired.
    Retiring,
    /// Neither signing nor published.
    Removed,
}

impl KeyState {
    /// As the database names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Removed => "removed",
        }
    }

    /// The reverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Retiring, Self::Removed]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Those in which verifiers are told of the key.
    pub const PUBLISHED: [Self; 3] = [Self::Pending, Self::Active, Self::Retiring];

    /// Whether verifiers are told of the key.
    pub fn is_published(self) -> bool {
        self != Self::Removed
    }
}

/// A key whose seal was verified.
#[derive(Debug)]
pub struct StoredKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// Where it is in its life.
    pub state: KeyState,
    /// Which master key its seal was made with.
    pub master_key_version: i32,
    /// When verifiers were first told of it.
    pub published_at: OffsetDateTime,
    /// When it began to sign.
    pub activated_at: Option<OffsetDateTime>,
    /// When it stopped.
    pub retired_at: Option<OffsetDateTime>,
    /// The key itself.
    pub key: SigningKey,
    /// What it is made from; sealed again whenever the state changes.
    pub seed: Seed,
}

/// The private part of a key, wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

impl StoredKey {
    /// How long until verifiers can be trusted to know the key; zero or less when they do.
    pub fn promotable_in(&self, publish_ahead: Duration, now: OffsetDateTime) -> Duration {
        self.published_at + publish_ahead - now
    }

    /// Whether an active key has signed for long enough.
    pub fn is_due_for_rotation(&self, now: OffsetDateTime) -> bool {
        self.activated_at
            .is_some_and(|activated| now - activated >= ROTATE_AFTER)
    }

    /// Whether the last token of a retiring key has expired everywhere.
    pub fn is_spent(&self, now: OffsetDateTime) -> bool {
        self.retired_at
            .is_some_and(|retired| now - retired >= KEEP_RETIRING)
    }
}

/// Why keys cannot be read or changed.
#[derive(Debug)]
pub enum SigningKeysError {
    /// The database.
    Db(DbError),
    /// A key in use does not open with this master key, or its row was altered.
    SealBroken {
        /// Which.
        kid: String,
    },
}

impl From<DbError> for SigningKeysError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl AsRetry for SigningKeysError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

impl fmt::Display for SigningKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::SealBroken { kid } => {
                write!(f, "signing key {kid} does not open: its row was altered")
            }
        }
    }
}

impl std::error::Error for SigningKeysError {}

/// A month bounds what a stolen key is worth.
pub const ROTATE_AFTER: Duration = Duration::days(30);
/// The longest life a token may have, the largest leeway of a verifier, a minute of skew.
pub const KEEP_RETIRING: Duration = Duration::seconds(3_600 + 120 + 60);
