//! Registration.

use std::fmt;

use super::model::{Email, Password, User};
use super::password::{Client, HashError};
use super::store::{self, NewUser};
use crate::app::App;
use crate::config::Registration;
use crate::credits;
use crate::db::{AsRetry, DbError};
use crate::http::RequestInfo;

/// What a person gives to register.
#[derive(Debug)]
pub struct Registrant {
    /// Their address.
    pub email: Email,
    /// Their password.
    pub password: Password,
    /// What they want to be called.
    pub name: Option<String>,
}

/// Creates the user, the credit account and the signup bonus, all or none.
///
/// # Errors
/// [`RegisterError`].
pub async fn register(
    app: &App,
    registrant: Registrant,
    request: &RequestInfo,
) -> Result<User, RegisterError> {
    if app.config.limits.registration == Registration::Closed {
        return Err(RegisterError::Closed);
    }
    let Registrant {
        email,
        password,
        name,
    } = registrant;
    let password_hash = app
        .hasher
        .hash(password, app.entropy.bytes(), Client::Unknown)
        .await?;
    let id = app.entropy.user_id();
    let bonus_digest = app.address_digest(&email.canonical());
    let request = request.to_json();
    let new = NewUser {
        id: &id,
        email: &email,
        name: name.as_deref(),
        password_hash: &password_hash,
    };
    let created_at = app
        .db
        .retry("register", || async {
            let mut tx = app.db.begin().await?;
            let created_at = store::insert_user(&mut tx, &new, &request)
                .await?
                .ok_or(RegisterError::EmailTaken)?;
            credits::open_account(&mut tx, &id, &app.config.credits, &bonus_digest).await?;
            tx.commit().await?;
            Ok::<_, RegisterError>(created_at)
        })
        .await?;
    Ok(User {
        id,
        email: email.as_str().into(),
        name,
        role: "user".into(),
        email_verified: false,
        created_at,
    })
}

/// Why a registration was refused.
#[derive(Debug)]
pub enum RegisterError {
    /// The operator closed registration.
    Closed,
    /// The address has an account.
    EmailTaken,
    /// The password could not be hashed.
    Hash(HashError),
    /// The database.
    Db(DbError),
}

impl From<DbError> for RegisterError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<HashError> for RegisterError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl AsRetry for RegisterError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("registration is closed"),
            Self::EmailTaken => f.write_str("the address has an account"),
            Self::Hash(error) => error.fmt(f),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RegisterError {}
