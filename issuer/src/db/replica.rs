//! A copy of the database that PostgreSQL keeps up to date by streaming: for reads that are long and
//! may be a moment old.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use super::{Db, DbError, OnConnect, open_pool};
use crate::secret::SecretText;

/// A pool of connections to the copy, and whether it may be asked.
#[derive(Debug, Clone)]
pub struct Replica {
    pool: PgPool,
    usable: Arc<AtomicBool>,
}

impl Replica {
    /// Opens the pool without waiting for the server; not asked until [`Self::check`] has seen it.
    pub(super) fn open(url: &SecretText, max_connections: u32) -> Result<Self, DbError> {
        Ok(Self {
            // A login with more rights than the issuer's has no use for them here.
            pool: open_pool(url, max_connections, OnConnect::LimitAndStepDown)?,
            usable: Arc::default(),
        })
    }

    /// A connection; `None` when the copy is away, too far behind or busy.
    pub async fn acquire(&self) -> Option<PoolConnection<Postgres>> {
        match self.usable.load(Ordering::Relaxed) {
            true => self.pool.acquire().await.ok(),
            false => None,
        }
    }

    /// Asks the copy what it is and how far it is behind, and notes whether it may be asked; says so
    /// in whole seconds. While the primary is away the copy is as new as anything gets, and the last
    /// verdict stays.
    ///
    /// # Errors
    /// [`ReplicaError`]: reads go to the primary until a later check succeeds.
    pub async fn check(&self, primary: &Db) -> Result<i64, ReplicaError> {
        let Ok(mut primary) = primary.acquire().await else {
            return Ok(0);
        };
        let found = self.compare(&mut primary).await;
        self.usable.store(found.is_ok(), Ordering::Relaxed);
        found
    }

    async fn compare(&self, primary: &mut PgConnection) -> Result<i64, ReplicaError> {
        let mut copy = self.pool.acquire().await.map_err(DbError::from)?;
        if system(&mut copy).await? != system(primary).await? {
            return Err(ReplicaError::OtherSystem);
        }
        // The primary's time, read before the copy is asked, and the time of the last commit that the
        // copy has: both by one clock. The feed is published each second, so that there always is one.
        let now: f64 = sqlx::query_scalar("select extract(epoch from clock_timestamp())::float8")
            .fetch_one(primary)
            .await
            .map_err(DbError::from)?;
        let (in_recovery, replayed): (bool, Option<f64>) = sqlx::query_as(
            "select pg_is_in_recovery(), extract(epoch from pg_last_xact_replay_timestamp())::float8",
        )
        .fetch_one(&mut *copy)
        .await
        .map_err(DbError::from)?;
        if !in_recovery {
            return Err(ReplicaError::NoReplica);
        }
        let behind = replayed.map(|at| whole_secs(now) - whole_secs(at));
        match behind {
            Some(secs) if secs <= MAX_BEHIND_SECS => Ok(secs.max(0)),
            Some(secs) => Err(ReplicaError::Behind { secs }),
            // Started a moment ago and has replayed nothing yet.
            None => Err(ReplicaError::Behind { secs: i64::MAX }),
        }
    }
}

/// What distinguishes one cluster and its copies from all others.
async fn system(connection: &mut PgConnection) -> Result<i64, DbError> {
    Ok(
        sqlx::query_scalar("select system_identifier from pg_control_system()")
            .fetch_one(connection)
            .await?,
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seconds since 1970 are far from the limits of either type"
)]
fn whole_secs(secs: f64) -> i64 {
    secs as i64
}

/// Why the copy is not asked.
#[derive(Debug)]
pub enum ReplicaError {
    /// It does not answer.
    Db(DbError),
    /// It takes writes itself: the primary, or a copy that was promoted.
    NoReplica,
    /// It is a copy of something else.
    OtherSystem,
    /// Too far behind.
    Behind {
        /// By so much.
        secs: i64,
    },
}

impl ReplicaError {
    /// Whether no waiting will help: the setting names the wrong server.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::NoReplica | Self::OtherSystem)
    }
}

impl From<DbError> for ReplicaError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for ReplicaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::NoReplica => f.write_str(
                "DATABASE_REPLICA_URL names a server that is not in recovery: set it to a hot standby of the \
                 database in DATABASE_URL, or remove it",
            ),
            Self::OtherSystem => f.write_str(
                "DATABASE_REPLICA_URL names a server that is no copy of the one in DATABASE_URL: set it to a hot \
                 standby of that one, or remove it",
            ),
            Self::Behind { secs: i64::MAX } => f.write_str("the replica has replayed nothing yet"),
            Self::Behind { secs } => write!(
                f,
                "the replica is {secs} s behind, {MAX_BEHIND_SECS} s are allowed"
            ),
        }
    }
}

impl std::error::Error for ReplicaError {}

/// A copy that is well is behind by less than a second; one by more than this has stopped.
const MAX_BEHIND_SECS: i64 = 5;
