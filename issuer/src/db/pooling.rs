//! What stands between us and PostgreSQL: nothing, a pooler that lends each connection a backend
//! of its own, or one that shares backends.
//!
//! A pooler that shares backends and does not know about prepared statements answers one
//! connection with the row of another's statement, without any error: one user's row shown to
//! another. Nothing in an answer tells, so the issuer tries it before it serves anybody.
//!
//! 1. Two connections that are open at the same time and name the same backend share it. Without
//!    a pooler, and with session pooling, that cannot happen.
//! 2. The driver gives statements the same names on every connection. Neighbours prepare two
//!    statements of one type in opposite order, so that one name means one thing here and another
//!    there; whoever mixes them up answers wrongly or with an error.
//! 3. Sharing is allowed only when some backend has run both meanings of one name, and every
//!    answer was right.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::{DbError, connect};
use crate::secret::SecretText;

/// How backends are given to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// A connection keeps its backend: no pooler, or session pooling.
    OwnBackends,
    /// A pooler gives out backends by transaction and keeps named statements apart.
    SharedBackends,
}

/// Finds out how backends are given to connections of this URL.
///
/// # Errors
/// [`PoolingError`] when it is not safe to use.
pub async fn find_pooling(url: &SecretText) -> Result<Pooling, PoolingError> {
    match tokio::time::timeout(TRIED_WITHIN, try_out(url)).await {
        Ok(found) => found,
        Err(_) => Err(PoolingError::TooFewBackends),
    }
}

async fn try_out(url: &SecretText) -> Result<Pooling, PoolingError> {
    let connecting = (0..N_CLIENTS).map(|number| Client::connect(url, number));
    let mut clients = try_join_all(connecting).await?;
    options_hold(url, &mut clients[0].connection).await?;
    // In turn first: a pooler with nothing else to do gives the backend that has just become free.
    for client in &mut clients {
        client.ask_both().await?;
    }
    let (first, others) = clients.split_at_mut(1);
    let transactions = first.iter_mut().map(Client::transact);
    let questions = others.iter_mut().map(Client::ask_often);
    futures_util::try_join!(try_join_all(transactions), try_join_all(questions))?;
    let found = judge(&clients)?;
    if found == Pooling::SharedBackends {
        limits_hold(&mut clients[0].connection).await?;
    }
    for client in clients {
        // It has done its part; how it ends does not matter.
        drop(client.connection.close().await);
    }
    Ok(found)
}

/// A connection, and which of its own first statements it saw run on which backend.
struct Client {
    connection: PgConnection,
    is_even: bool,
    backends: Vec<i32>,
}

impl Client {
    async fn connect(url: &SecretText, number: usize) -> Result<Self, PoolingError> {
        Ok(Self {
            connection: connect(url).await?,
            is_even: number.is_multiple_of(2),
            backends: Vec::new(),
        })
    }

    /// Asks what the other kind of client asks in the other order.
    async fn ask_both(&mut self) -> Result<(), PoolingError> {
        let backend = self.ask(self.is_even).await?;
        self.backends.push(backend);
        self.ask(!self.is_even).await?;
        Ok(())
    }

    async fn ask_often(&mut self) -> Result<(), PoolingError> {
        for _ in 0..N_ROUNDS {
            self.ask_both().await?;
        }
        Ok(())
    }

    /// Whole transactions stay on one backend.
    async fn transact(&mut self) -> Result<(), PoolingError> {
        for _ in 0..N_ROUNDS {
            self.execute("begin", PoolingError::SplitsTransactions)
                .await?;
            let first = self.ask(self.is_even).await?;
            let second = self.ask(!self.is_even).await?;
            self.execute("commit", PoolingError::SplitsTransactions)
                .await?;
            if first != second {
                return Err(PoolingError::SplitsTransactions);
            }
            self.backends.push(first);
        }
        Ok(())
    }

    /// The backend that answered.
    async fn ask(&mut self, even: bool) -> Result<i32, PoolingError> {
        let (sql, expected) = match even {
            true => (EVEN, 2),
            false => (ODD, 1),
        };
        let answer: Result<(i64, i32), _> =
            sqlx::query_as(sql).fetch_one(&mut self.connection).await;
        match answer {
            Ok((number, backend)) if number == expected => Ok(backend),
            Ok(_) => Err(PoolingError::MixesAnswers),
            Err(error) => Err(PoolingError::of(error, PoolingError::MixesAnswers)),
        }
    }

    async fn execute(
        &mut self,
        sql: &'static str,
        confused: PoolingError,
    ) -> Result<(), PoolingError> {
        match self.connection.execute(sql).await {
            Ok(_) => Ok(()),
            Err(error) => Err(PoolingError::of(error, confused)),
        }
    }
}

/// Every answer was right; what remains is whether that means anything.
fn judge(clients: &[Client]) -> Result<Pooling, PoolingError> {
    let mut users: HashMap<i32, Vec<usize>> = HashMap::new();
    for (number, client) in clients.iter().enumerate() {
        for backend in &client.backends {
            users.entry(*backend).or_default().push(number);
        }
    }
    let is_shared = |numbers: &Vec<usize>| numbers.iter().any(|n| *n != numbers[0]);
    let has_both = |numbers: &Vec<usize>| {
        let n_even = numbers.iter().filter(|n| clients[**n].is_even).count();
        n_even != 0 && n_even != numbers.len()
    };
    match (users.values().any(is_shared), users.values().any(has_both)) {
        (false, _) => Ok(Pooling::OwnBackends),
        (true, true) => Ok(Pooling::SharedBackends),
        // Right by chance: no backend was asked for both meanings of a name.
        (true, false) => Err(PoolingError::MixesAnswers),
    }
}

/// What `?options=` in the URL asks for has arrived. A pooler that was told to ignore the
/// parameter drops it without a word.
async fn options_hold(url: &SecretText, connection: &mut PgConnection) -> Result<(), PoolingError> {
    let options = PgConnectOptions::from_str(url.expose()).map_err(DbError::from)?;
    for (name, value) in settings(options.get_options().unwrap_or_default()) {
        let held: Option<(bool,)> = sqlx::query_as(
            "with before as materialized (select current_setting($1, true) as held)
             select held is not distinct from set_config($1, $2, true) from before",
        )
        .bind(name)
        .bind(value)
        .fetch_optional(&mut *connection)
        .await
        .map_err(DbError::from)?;
        if held != Some((true,)) {
            return Err(PoolingError::OptionLost(name.to_owned()));
        }
    }
    Ok(())
}

/// The settings in `-c name=value -c name=value`, which is how the driver writes them.
fn settings(options: &str) -> impl Iterator<Item = (&str, &str)> {
    options
        .split("-c ")
        .filter_map(|setting| setting.trim().split_once('='))
        .filter(|(_, value)| !value.contains('\\'))
}

/// Limits that a connection sets for itself would wander with the backend: they must belong to
/// the login.
async fn limits_hold(connection: &mut PgConnection) -> Result<(), PoolingError> {
    let unlimited: Vec<String> = sqlx::query_scalar(
        "select name from pg_settings where setting = '0'
            and name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')
          order by name",
    )
    .fetch_all(connection)
    .await
    .map_err(DbError::from)?;
    match unlimited.is_empty() {
        true => Ok(()),
        false => Err(PoolingError::NoLimits(unlimited)),
    }
}

/// What is wrong with the pooler, and which setting to change.
#[derive(Debug)]
pub enum PoolingError {
    /// It answers one connection with the row of another's statement.
    MixesAnswers,
    /// It gives the statements of one transaction to several backends.
    SplitsTransactions,
    /// It has fewer backends than a handful of connections need, or does not answer.
    TooFewBackends,
    /// A setting in the URL did not arrive.
    OptionLost(String),
    /// It shares backends, and these limits do not belong to the login.
    NoLimits(Vec<String>),
    /// The database did not answer.
    Db(DbError),
}

impl PoolingError {
    /// What an error during the trial means: the pooler's confusion, or a database that is away.
    fn of(error: sqlx::Error, confused: Self) -> Self {
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some(DUPLICATE_STATEMENT | UNKNOWN_STATEMENT | PROTOCOL_VIOLATION) => confused,
            _ => match error {
                // The driver met an answer that belongs to another statement.
                sqlx::Error::Protocol(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::RowNotFound => confused,
                error => Self::Db(DbError::from(error)),
            },
        }
    }
}

impl From<DbError> for PoolingError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for PoolingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MixesAnswers => f.write_str(
                "the connection pooler mixes up answers: it shares backends between connections and does not keep \
                 their prepared statements apart, so that one user could be shown another's data. With PgBouncer \
                 set `pool_mode = session`, or keep `pool_mode = transaction` and set `max_prepared_statements = \
                 200` (PgBouncer 1.21 or newer), or connect without the pooler; see docs/scaling.md",
            ),
            Self::SplitsTransactions => f.write_str(
                "the connection pooler does not keep a transaction on one backend: set `pool_mode = session`, or \
                 `pool_mode = transaction` with `max_prepared_statements = 200`; see docs/scaling.md",
            ),
            Self::TooFewBackends => write!(
                f,
                "the connection pooler did not serve {N_CLIENTS} connections within {} s: let it open as many \
                 backends as all issuers together have connections (PgBouncer: `default_pool_size`), or set \
                 DATABASE_MAX_CONNECTIONS lower; see docs/scaling.md",
                TRIED_WITHIN.as_secs()
            ),
            Self::OptionLost(name) => write!(
                f,
                "`options` in the database's URL sets {name}, and the setting did not arrive: a pooler ignores it \
                 (PgBouncer: `ignore_startup_parameters`). Take it out of the URL and give it to the login: `alter \
                 role <login> set {name} = …`",
            ),
            Self::NoLimits(names) => {
                let names = names.join(", ");
                write!(
                    f,
                    "the connection pooler shares backends, so limits must belong to the login, and it has none for \
                     {names}: `alter role <login> set statement_timeout = '5s'`, likewise lock_timeout = '2s' and \
                     idle_in_transaction_session_timeout = '5s', then `RECONNECT` in PgBouncer's console; see \
                     docs/scaling.md"
                )
            }
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PoolingError {}

/// Two statements of one type.
const ODD: &str = "select 1::int8, pg_backend_pid()";
const EVEN: &str = "select 2::int8, pg_backend_pid()";
/// Two of each kind: one of them may be in a transaction.
const N_CLIENTS: usize = 4;
/// Enough for every connection to meet the backends of the others, and some milliseconds without
/// a pooler.
const N_ROUNDS: usize = 10;
/// A pooler without a free backend lets connections wait for minutes.
const TRIED_WITHIN: Duration = Duration::from_secs(10);
// SQLSTATE codes, PostgreSQL documentation, appendix A.
const DUPLICATE_STATEMENT: &str = "42P05";
const UNKNOWN_STATEMENT: &str = "26000";
const PROTOCOL_VIOLATION: &str = "08P01";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_driver_writes_them() {
        let url = "postgres://ada@localhost/x?options[statement_timeout]=4s&options[geqo]=off";
        let options = PgConnectOptions::from_str(url).unwrap();
        let found: Vec<_> = settings(options.get_options().unwrap()).collect();
        assert_eq!(found, [("statement_timeout", "4s"), ("geqo", "off")]);
        assert_eq!(settings("").count(), 0);
    }
}
