//! The database: a pool, named transactions, migrations.

pub mod embedded;
mod error;
mod lease;
mod migrate;
mod pooling;
mod replica;

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres};
use tokio::sync::OwnedSemaphorePermit;

pub use error::DbError;
pub use lease::Lease;
pub use migrate::{
    MigrateError, Privileges, make_roles, migrate, newest_version, privileges, schema_is_current,
};
pub use pooling::{Pooling, PoolingError, find_pooling};
pub use replica::{Replica, ReplicaError};

use self::lease::{Resting, TRUSTED_IDLE};
use crate::metrics::DatabaseMetrics;
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
    metrics: DatabaseMetrics,
    replica: Option<Replica>,
    resting: Arc<Resting>,
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
        let pool = open_pool(url, max_connections, on_connect)?;
        Ok(Self::from_pool(pool))
    }

    /// Lets reads that may be a moment old go to a copy, once [`Replica::check`] has found it well.
    ///
    /// # Errors
    /// [`DbError::Driver`] when the URL cannot be understood.
    pub fn with_replica(self, url: &SecretText, max_connections: u32) -> Result<Self, DbError> {
        let replica = Some(Replica::open(url, max_connections)?);
        Ok(Self { replica, ..self })
    }

    /// The copy, if there is to be one.
    pub fn replica(&self) -> Option<&Replica> {
        self.replica.as_ref()
    }

    /// Wraps a pool that a test made.
    pub fn from_pool(pool: PgPool) -> Self {
        let resting = Resting::new(pool.options().get_max_connections());
        Self {
            pool,
            resting: Arc::new(resting),
            metrics: DatabaseMetrics::default(),
            replica: None,
        }
    }

    /// A connection for an operation of one statement.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when none became free in time.
    pub async fn acquire(&self) -> Result<Lease, DbError> {
        let began = Instant::now();
        let lease = self.lease().await;
        self.metrics.waited(began.elapsed(), lease.is_ok());
        lease
    }

    async fn lease(&self) -> Result<Lease, DbError> {
        let place = self.resting.place(ACQUIRE_TIMEOUT).await?;
        let place = match self.resting.take(place) {
            Ok(lease) => return Ok(lease),
            Err(place) => place,
        };
        let connection = self.pool.acquire().await?;
        Ok(self.resting.lease(connection, Instant::now(), place))
    }

    /// Begins a transaction; dropping it rolls back.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection became free in time.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let began = Instant::now();
        let tx = self.begin_now().await;
        self.metrics.waited(began.elapsed(), tx.is_ok());
        tx
    }

    async fn begin_now(&self) -> Result<Tx, DbError> {
        let place = self.resting.place(ACQUIRE_TIMEOUT).await?;
        self.resting.give_back_one();
        Ok(Tx(self.pool.begin().await?, place))
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
        let began = Instant::now();
        let result = self.attempts(name, attempt).await;
        self.metrics.ended(name, began.elapsed());
        result
    }

    async fn attempts<T, E, F, A>(&self, name: &'static str, attempt: F) -> Result<T, E>
    where
        E: AsRetry,
        F: Fn() -> A,
        A: Future<Output = Result<T, E>>,
    {
        for n_failed in 1..MAX_ATTEMPTS {
            match attempt().await {
                Err(error) if error.is_retryable() => {
                    self.metrics.conflicted(name);
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

    /// What the pool and its transactions have done, with its state at this moment.
    pub fn metrics(&self) -> &DatabaseMetrics {
        let limit = self.pool.options().get_max_connections();
        let (n_open, n_idle) = self.connections();
        self.metrics.connections(n_open, n_idle, limit);
        &self.metrics
    }

    /// Connections open and idle.
    pub fn connections(&self) -> (u32, usize) {
        let n_idle = self.pool.num_idle() + self.resting.n_idle();
        (self.pool.size(), n_idle)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.resting.close();
        self.pool.close().await;
    }
}

/// A transaction: rolled back unless it is committed.
#[derive(Debug)]
pub struct Tx(
    sqlx::Transaction<'static, Postgres>,
    #[expect(dead_code, reason = "held as long as the connection")] OwnedSemaphorePermit,
);

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

/// How many connections of issuers are open to this database, this one aside.
///
/// # Errors
/// [`DbError`] when the server does not answer.
pub async fn n_issuer_connections(connection: &mut PgConnection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar(
        "select count(*) from pg_stat_activity
          where datname = current_database() and application_name = $1 and pid <> pg_backend_pid()",
    )
    .bind(APPLICATION_NAME)
    .fetch_one(connection)
    .await?)
}

fn open_pool(
    url: &SecretText,
    max_connections: u32,
    on_connect: OnConnect,
) -> Result<PgPool, DbError> {
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
    Ok(pool)
}

fn connect_options(url: &SecretText) -> Result<PgConnectOptions, DbError> {
    // Poolers refuse the driver's default of `extra_float_digits`, and no number of ours is a float.
    Ok(PgConnectOptions::from_str(url.expose())?
        .application_name(APPLICATION_NAME)
        .extra_float_digits(None))
}

/// What the server calls us in its list of connections.
const APPLICATION_NAME: &str = "tollgate";
/// Callers learn within 2 s that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);
/// As long as waiting for a connection may take.
const ANSWER_TIMEOUT: Duration = ACQUIRE_TIMEOUT;
/// A conflict that is resolved against us three times in a row is not one.
const MAX_ATTEMPTS: u32 = 3;
/// No statement of ours runs for seconds; one that does must not hold a connection or a lock.
const SESSION_LIMITS: &str = "set statement_timeout = '5s'; set lock_timeout = '2s'; \
     set idle_in_transaction_session_timeout = '5s'";
