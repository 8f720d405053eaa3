//! The master key, its predecessor during a change, and the check that they belong to this
//! database.

use std::fmt;

use super::store;
use crate::db::{Db, DbError};
use crate::secret::{DerivedKey, MasterKey, Purpose};

/// The keys everything else is derived from, each with its version in this database.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    current_version: i32,
    previous: Option<(MasterKey, i32)>,
}

impl MasterKeys {
    /// A key that no database was asked about: for the specification, which seals nothing.
    pub fn unchecked(current: MasterKey) -> Self {
        Self {
            current,
            current_version: 1,
            previous: None,
        }
    }

    /// The key new things are made with.
    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    /// Its version.
    pub fn current_version(&self) -> i32 {
        self.current_version
    }

    /// The derived key of this version, if we have it.
    pub fn derive_version(&self, version: i32, purpose: Purpose) -> Option<DerivedKey> {
        if version == self.current_version {
            return Some(self.current.derive(purpose));
        }
        let (previous, previous_version) = self.previous.as_ref()?;
        (*previous_version == version).then(|| previous.derive(purpose))
    }

    /// The derived keys that are accepted, the current one first.
    pub fn derive_all(&self, purpose: Purpose) -> Vec<DerivedKey> {
        let previous = self.previous.iter().map(|(key, _)| key);
        std::iter::once(&self.current)
            .chain(previous)
            .map(|key| key.derive(purpose))
            .collect()
    }
}

/// Compares the master key with the value in the database, and notes a new one when its
/// predecessor is shown with it.
///
/// # Errors
/// [`MasterKeyError::Foreign`] when the database was sealed with another key.
pub async fn check_master_key(
    db: &Db,
    current: MasterKey,
    previous: Option<MasterKey>,
) -> Result<MasterKeys, MasterKeyError> {
    let mut connection = db.acquire().await?;
    let known = store::master_key_checks(&mut connection).await?;
    let version_of = |key: &MasterKey| {
        let value = key.check_value();
        known
            .iter()
            .find(|row| row.check_value == value)
            .map(|row| row.version)
    };
    let previous_version = previous.as_ref().and_then(&version_of);
    let latest = known.iter().map(|row| row.version).max();
    let current_version = match (version_of(&current), latest) {
        (Some(version), _) => version,
        (None, None) => {
            store::insert_master_key_check(&mut connection, 1, &current.check_value()).await?
        }
        (None, Some(latest)) if previous_version == Some(latest) => {
            store::insert_master_key_check(&mut connection, latest + 1, &current.check_value())
                .await?
        }
        (None, Some(_)) => return Err(MasterKeyError::Foreign),
    };
    Ok(MasterKeys {
        current,
        current_version,
        previous: previous.zip(previous_version),
    })
}

/// Why the master key is not accepted.
#[derive(Debug)]
pub enum MasterKeyError {
    /// The database.
    Db(DbError),
    /// The database belongs to another master key.
    Foreign,
}

impl From<DbError> for MasterKeyError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for MasterKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::Foreign => f.write_str(
                "MASTER_KEY is not the one this database was sealed with. Nothing was changed. Set the right key; \
                 to change it, set the old one as MASTER_KEY_PREVIOUS beside the new one",
            ),
        }
    }
}

impl std::error::Error for MasterKeyError {}
