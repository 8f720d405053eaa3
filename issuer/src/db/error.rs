//! What can go wrong between us and the database.

use std::fmt;

use sqlx::error::DatabaseError;

/// A failed database operation. Its text is for the log and never for a client.
#[derive(Debug)]
pub enum DbError {
    /// The server cannot be reached, is starting or stopping, or no connection became free.
    Unavailable(sqlx::Error),
    /// A lock or the statement itself took longer than it may.
    TimedOut(sqlx::Error),
    /// A named constraint refused the change.
    Constraint(String),
    /// A row holds what the code never writes.
    Inconsistent(&'static str),
    /// Anything else the driver reports: a defect of ours.
    Driver(sqlx::Error),
}

impl DbError {
    /// Whether trying the whole transaction again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Driver(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED)))
    }

    /// The same error for another one who waited for the same work.
    #[must_use]
    pub fn for_another(&self) -> Self {
        let shown = |error: &sqlx::Error| sqlx::Error::Protocol(error.to_string());
        match self {
            Self::Unavailable(error) => Self::Unavailable(shown(error)),
            Self::TimedOut(error) => Self::TimedOut(shown(error)),
            Self::Constraint(name) => Self::Constraint(name.clone()),
            Self::Inconsistent(what) => Self::Inconsistent(what),
            Self::Driver(error) => Self::Driver(shown(error)),
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                Self::from_server(&**database).unwrap_or(Self::Driver(error))
            }
            _ => Self::Driver(error),
        }
    }
}

impl DbError {
    fn from_server(error: &dyn DatabaseError) -> Option<Self> {
        if let Some(constraint) = error.constraint() {
            return Some(Self::Constraint(constraint.to_owned()));
        }
        let code = error.code()?;
        let shown = || sqlx::Error::Protocol(format!("server error {code}"));
        match &*code {
            LOCK_NOT_AVAILABLE | QUERY_CANCELED => Some(Self::TimedOut(shown())),
            // Class 08: connection exception; 57P: shutting down, crashed or starting up; 53: out of resources.
            code if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
                Some(Self::Unavailable(shown()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(error) => write!(f, "database unavailable: {error}"),
            Self::TimedOut(error) => write!(f, "database operation took too long: {error}"),
            Self::Constraint(name) => write!(f, "constraint {name} refused the change"),
            Self::Inconsistent(what) => write!(f, "inconsistent row: {what}"),
            Self::Driver(error) => write!(f, "database error: {error}"),
        }
    }
}

impl std::error::Error for DbError {}

// SQLSTATE codes, PostgreSQL documentation, appendix A.
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const QUERY_CANCELED: &str = "57014";
