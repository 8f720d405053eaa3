//! The database: a pool, named transactions, migrations.

pub mod embedded;
mod error;
mod migrate;
mod pooling;

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};

pub use error::DbError;
pub use migrate::{MigrateError, Privileges, migrate, privileges, schema_is_current};
pub use pooling::{Pooling, PoolingError, find_pooling};

use crate::secret::SecretText;

/// What a new connection does before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConnect {
    /// Sets its own limits.
    Limit,
    /// Sets its own limits and gives up the rights of its login for those of `tollgate_app`.
    LimitAndStepDown,
    /// Nothing: backends are shared, and what one connection sets another would have.
    Nothing,
}

/// A pool of connections that act as `tollgate_app`.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
}

impl Db {
    /// Opens the pool without waiting for the server: the issuer starts, and says that it is
    /// not ready, while the database is away.
    ///
    /// # Errors
    /// [`DbError::Driver`] when the URL cannot be understood.
    pub fn open(
        url: &SecretText,
        max_connections: u32,
        on_connect: OnConnect,
    ) -> Result<Self, DbError> {
        let options = connect_options(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    // A connection that rested may have died with its server.
                    Ok(meta.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok())
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if on_connect != OnConnect::Nothing {
                        connection.execute(SESSION_LIMITS).await?;
                    }
                    if on_connect == OnConnect::LimitAndStepDown {
                        connection.execute("set role tollgate_app").await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Wraps a pool that a test made.
    pub fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// A connection for an operation of one statement.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when none became free in time.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbError> {
        Ok(self.pool.acquire().await?)
    }

    /// Begins a transaction; dropping it rolls back.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection became free in time.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        Ok(Tx(self.pool.begin().await?))
    }

    /// Runs `attempt`, which begins and commits one transaction, and runs it again, at most
    /// twice, when the server resolved a deadlock or a serialization conflict against it.
    ///
    /// # Errors
    /// What the last attempt returned.
    pub async fn retry<T, E, F, A>(&self, name: &'static str, attempt: F) -> Result<T, E>
    where
        E: AsRetry,
        F: Fn() -> A,
        A: Future<Output = Result<T, E>>,
    {
        for n_failed in 1..MAX_ATTEMPTS {
            match attempt().await {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(
                        transaction = name,
                        n_failed,
                        "a transaction conflicted and is tried again"
                    );
                }
                result => return result,
            }
        }
        attempt().await
    }

    /// Answers whether the server answers.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.acquire().await?.ping().await?;
        Ok(())
    }

    /// Connections open and idle, for metrics.
    pub fn usage(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction: rolled back unless it is committed.
#[derive(Debug)]
pub struct Tx(sqlx::Transaction<'static, Postgres>);

impl Tx {
    /// Makes everything done in it durable and visible at once.
    ///
    /// # Errors
    /// [`DbError`]; whether it was committed is unknown when the server went away meanwhile.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.0.commit().await?)
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// Bounds the wait for the database where an operation also waits for other things.
///
/// # Errors
/// What `work` returned, or [`DbError::TimedOut`].
pub async fn limited<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, work).await {
        Ok(result) => result,
        Err(_) => Err(DbError::TimedOut(sqlx::Error::PoolTimedOut)),
    }
}

/// Errors that know whether the transaction may be tried again.
pub trait AsRetry {
    /// True when the server asked for it.
    fn is_retryable(&self) -> bool;
}

impl AsRetry for DbError {
    fn is_retryable(&self) -> bool {
        Self::is_retryable(self)
    }
}

/// Opens one connection as the login itself, for migrations and start-up checks.
///
/// # Errors
/// [`DbError::Unavailable`] when the server does not answer.
pub async fn connect(url: &SecretText) -> Result<PgConnection, DbError> {
    let connected = PgConnection::connect_with(&connect_options(url)?).await;
    Ok(connected.map_err(name_refused_parameter)?)
}

/// PgBouncer refuses what it does not know how to carry over from one connection to the next.
fn name_refused_parameter(error: sqlx::Error) -> sqlx::Error {
    let message = error
        .as_database_error()
        .map(sqlx::error::DatabaseError::message);
    match message.and_then(|message| message.strip_prefix("unsupported startup parameter")) {
        Some(which) => sqlx::Error::Configuration(
            format!(
                "the connection pooler refuses the start-up parameter {}: take `options` out of the database's \
                 URL and give the settings to the login (`alter role <login> set …`); see docs/scaling.md",
                which.trim_start_matches([':', ' '])
            )
            .into(),
        ),
        None => error,
    }
}

/// Takes the role that owns the schema, for the operator's commands.
///
/// # Errors
/// [`DbError`] when this login may not.
pub async fn become_owner(connection: &mut PgConnection) -> Result<(), DbError> {
    connection.execute("set role tollgate_owner").await?;
    Ok(())
}

fn connect_options(url: &SecretText) -> Result<PgConnectOptions, DbError> {
    // Poolers refuse the driver's default of `extra_float_digits`, and no number of ours is a float.
    Ok(PgConnectOptions::from_str(url.expose())?
        .application_name("tollgate")
        .extra_float_digits(None))
}

/// Callers learn within 2 s that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);
/// As long as waiting for a connection may take.
const ANSWER_TIMEOUT: Duration = ACQUIRE_TIMEOUT;
/// A connection used within the last second is taken as alive.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// A conflict that is resolved against us three times in a row is not one.
const MAX_ATTEMPTS: u32 = 3;
/// No statement of ours runs for seconds; one that does must not hold a connection or a lock.
const SESSION_LIMITS: &str = "set statement_timeout = '5s'; set lock_timeout = '2s'; \
     set idle_in_transaction_session_timeout = '5s'";
