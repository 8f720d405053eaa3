//! Changing one's password.

use super::store;
use crate::accounts::model::Password;
use crate::accounts::password::{Client, HashError, Verdict};
use crate::app::App;
use crate::db::DbError;
use crate::http::rate_limit::Class;
use crate::http::{Caller, RequestInfo};

/// Checks the present password, sets the new one and ends the other sessions.
///
/// # Errors
/// [`ChangePasswordError`].
pub async fn change_password(
    app: &App,
    caller: &Caller,
    current: Password,
    new: Password,
    request: &RequestInfo,
) -> Result<(), ChangePasswordError> {
    draw(app, caller).await?;
    let mut connection = app.db.acquire().await?;
    let own = store::load_own_password(&mut connection, caller).await?;
    drop(connection);
    let own = own.ok_or(ChangePasswordError::SessionEnded)?;
    standing(&own.standing)?;
    let verdict = app
        .hasher
        .verify(current, own.password_hash, Client::Known)
        .await?;
    if verdict == Verdict::Wrong {
        return Err(ChangePasswordError::WrongPassword);
    }
    let hash = app
        .hasher
        .hash(new, app.entropy.bytes(), Client::Known)
        .await?;
    let mut connection = app.db.acquire().await?;
    let request = request.to_json();
    let version = own.credential_version;
    let act = store::change_password(&mut connection, caller, version, &hash, &request).await?;
    standing(&act.outcome)?;
    app.feed.sessions_ended(act.ended_sessions);
    Ok(())
}

fn standing(outcome: &str) -> Result<(), ChangePasswordError> {
    match outcome {
        "fresh" | "done" => Ok(()),
        "stale" => Err(ChangePasswordError::SignInAgain),
        "changed" => Err(ChangePasswordError::WrongPassword),
        _ => Err(ChangePasswordError::SessionEnded),
    }
}

/// Whoever holds a stolen session must not try passwords with it.
async fn draw(app: &App, caller: &Caller) -> Result<(), ChangePasswordError> {
    let digest = app.digests.mac(&[b"password:", caller.user_id.as_bytes()]);
    let drawn = app.draw_for_account(Class::MailAccount, digest).await;
    drawn.map_err(|used_up| ChangePasswordError::RateLimited {
        retry_after_secs: used_up.retry_after_secs,
    })
}

/// Why the password stays.
#[derive(Debug)]
pub enum ChangePasswordError {
    /// The present password is wrong, there is none, or it changed meanwhile.
    WrongPassword,
    /// The sign-in is too long ago.
    SignInAgain,
    /// The session has ended.
    SessionEnded,
    /// Too many tries.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// A password could not be hashed.
    Hash(HashError),
    /// The database.
    Db(DbError),
}

impl From<DbError> for ChangePasswordError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<HashError> for ChangePasswordError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}
