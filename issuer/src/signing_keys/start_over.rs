//! Going on after the master key was lost.

use std::fmt;

use sqlx::{Connection, PgConnection};

use super::store;
use crate::db::{self, DbError};
use crate::secret::MasterKey;
use crate::{revocations, sessions};

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartedOver {
    /// The number of the new master key in this database.
    pub version: i32,
    /// Signing keys that nobody can open any more.
    pub keys_removed: u64,
    /// Sessions whose refresh tokens nobody can check any more.
    pub sessions_ended: i64,
}

/// Introduces a master key without its predecessor. Signing keys are removed, so that the next start
/// makes new ones; every session ends and every access token of before is refused. For the owner of
/// the schema only, and while no issuer runs: one that still held the old key would go on with it.
///
/// # Errors
/// [`StartOverError`]; safe to run again when it was cut off.
pub async fn start_over(
    connection: &mut PgConnection,
    new: &MasterKey,
) -> Result<StartedOver, StartOverError> {
    match db::n_issuer_connections(connection).await? {
        0 => {}
        n => return Err(StartOverError::IssuersRun(n)),
    }
    let mut tx = connection.begin().await?;
    match give_up(&mut tx, new).await {
        Ok(done) => {
            tx.commit().await?;
            Ok(done)
        }
        Err(error) => {
            // At once: a transaction that is only dropped keeps its locks until the next statement.
            tx.rollback().await?;
            Err(error)
        }
    }
}

async fn give_up(tx: &mut PgConnection, new: &MasterKey) -> Result<StartedOver, StartOverError> {
    store::lock(tx).await?;
    let known = store::master_key_checks(tx).await?;
    let check = new.check_value();
    let newest = known.iter().map(|row| row.version).max();
    let newest = newest.ok_or(StartOverError::NeverSealed)?;
    if known.iter().any(|row| row.check_value == check) {
        return Err(StartOverError::Fits);
    }
    let version = store::insert_master_key_check(tx, newest + 1, &check).await?;
    let keys_removed = store::remove_every_key(tx).await?;
    revocations::cut_off_all_tokens(tx).await?;
    store::record_replacement(tx, version).await?;
    // In the same transaction: with the key noted, a second run would be refused as not needed.
    let sessions_ended = sessions::end_every_quietly(tx).await?;
    Ok(StartedOver {
        version,
        keys_removed,
        sessions_ended,
    })
}

/// Why nothing was changed.
#[derive(Debug)]
pub enum StartOverError {
    /// The database.
    Db(DbError),
    /// So many connections of issuers are open.
    IssuersRun(i64),
    /// The key is one that this database knows.
    Fits,
    /// No master key was ever used here.
    NeverSealed,
}

impl From<DbError> for StartOverError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<sqlx::Error> for StartOverError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl fmt::Display for StartOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::IssuersRun(n) => write!(
                f,
                "{n} connections of an issuer are open to this database. Nothing was changed. Stop every issuer \
                 first; before you do, look whether one of them still has the old key in its environment"
            ),
            Self::Fits => f.write_str(
                "MASTER_KEY is one this database knows: nothing is lost, start the issuer with it",
            ),
            Self::NeverSealed => {
                f.write_str("no master key was ever used with this database: start the issuer")
            }
        }
    }
}

impl std::error::Error for StartOverError {}
