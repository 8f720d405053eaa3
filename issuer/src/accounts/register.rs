//! Registration.

use std::fmt;

use serde_json::Value;
use time::OffsetDateTime;

use super::mailed;
use super::model::{Email, Password, User};
use super::password::{Client, HashError};
use super::store::{self, NewUser};
use crate::app::App;
use crate::config::{CreditsConfig, Registration};
use crate::credits;
use crate::db::{AsRetry, DbError, Tx};
use crate::http::RequestInfo;
use crate::mail::Locale;

/// What a person gives to register.
#[derive(Debug)]
pub struct Registrant {
    /// Their address.
    pub email: Email,
    /// Their password.
    pub password: Password,
    /// What they want to be called.
    pub name: Option<String>,
    /// The language their browser asks for.
    pub locale: Locale,
}

/// Creates the user, the credit account and the signup bonus, all or none. With verification on
/// the bonus waits, a mail goes out, and a taken address is answered like any other.
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
        locale,
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
        locale: locale.as_str(),
    };
    let token_id = app.entropy.unique_id();
    let created_at = app
        .db
        .retry("register", || async {
            let mut tx = app.db.begin().await?;
            let created_at = match app.config.mail.verification {
                true => insert_unproven(app, &mut tx, &new, &token_id, &request).await?,
                false => insert(app, &mut tx, &new, &bonus_digest, &request).await?,
            };
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

/// The user, the account and the bonus; a taken address is refused.
async fn insert(
    app: &App,
    tx: &mut Tx,
    new: &NewUser<'_>,
    bonus_digest: &[u8; 32],
    request: &Value,
) -> Result<OffsetDateTime, RegisterError> {
    let created_at = store::insert_user(tx, new, request)
        .await?
        .ok_or(RegisterError::EmailTaken)?;
    credits::open_account(tx, new.id, &app.config.credits, bonus_digest).await?;
    Ok(created_at)
}

/// With verification on: the user, the account without a bonus, and the mail. For a taken address
/// its owner gets a mail; the caller cannot tell the two apart.
async fn insert_unproven(
    app: &App,
    tx: &mut Tx,
    new: &NewUser<'_>,
    token_id: &str,
    request: &Value,
) -> Result<OffsetDateTime, RegisterError> {
    let Some(created_at) = store::insert_user(tx, new, request).await? else {
        let at = mailed::note_repeated_registration(tx, new.email, token_id, request).await?;
        return Ok(at);
    };
    let without_bonus = CreditsConfig {
        signup_bonus: 0,
        ..app.config.credits
    };
    credits::open_account(tx, new.id, &without_bonus, &[0; 32]).await?;
    mailed::request_first_mail(tx, new.id, token_id, request).await?;
    Ok(created_at)
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
