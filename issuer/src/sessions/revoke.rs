//! Ending sessions.

use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::cookies::Browser;
use crate::http::{Caller, RequestInfo};

/// What became of a session somebody wanted to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It has ended now.
    Now,
    /// It had ended before.
    Before,
    /// There is no such session, or it is somebody else's.
    NotFound,
}

/// Signs the caller out.
///
/// # Errors
/// [`DbError`].
pub async fn logout(app: &App, caller: &Caller, request: &RequestInfo) -> Result<Revoked, DbError> {
    let found = end(app, &caller.user_id, &caller.session_id, request).await?;
    Ok(if found { Revoked::Now } else { Revoked::Before })
}

/// Signs out whoever holds a refresh token, spent or not.
///
/// # Errors
/// [`DbError`].
pub async fn logout_by_token(
    app: &App,
    presented: &str,
    request: &RequestInfo,
) -> Result<Revoked, DbError> {
    let Some(token) = app.refresh_tokens.decode(presented) else {
        return Ok(Revoked::NotFound);
    };
    let session_id = token.session_id_text();
    let mut connection = app.db.acquire().await?;
    let outcome = store::revoke_session_by_token(
        &mut connection,
        &session_id,
        &token.nonce_hash(),
        &request.to_json(),
    )
    .await?;
    match outcome.as_str() {
        "revoked" => {
            app.feed.sessions_ended([session_id]);
            Ok(Revoked::Now)
        }
        "ended" => Ok(Revoked::Before),
        _ => Ok(Revoked::NotFound),
    }
}

/// Whether the browser's cookie belongs to the session that signs out: another one's stays.
pub fn is_of_session(app: &App, browser: &Browser, caller: &Caller) -> bool {
    let token = browser.held_token();
    let token = token.and_then(|token| app.refresh_tokens.decode(token.expose()));
    token.is_some_and(|token| token.session_id_text() == caller.session_id)
}

/// Ends one of the caller's sessions.
///
/// # Errors
/// [`RevokeError`].
pub async fn revoke(
    app: &App,
    caller: &Caller,
    session_id: &str,
    request: &RequestInfo,
) -> Result<(), RevokeError> {
    let mut connection = app.db.acquire().await?;
    let outcome = store::revoke_own_session(
        &mut connection,
        &caller.user_id,
        &caller.session_id,
        session_id,
        &request.to_json(),
    )
    .await?;
    match outcome.as_str() {
        "revoked" => {
            app.feed.sessions_ended([session_id.to_owned()]);
            Ok(())
        }
        "absent" => Err(RevokeError::NotFound),
        standing => Err(RevokeError::of_standing(standing)),
    }
}

/// Which of the caller's sessions to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All but the one that asks.
    Others,
    /// All of them.
    All,
}

/// Ends many sessions of the caller at once and says how many.
///
/// # Errors
/// [`RevokeError`].
pub async fn revoke_many(
    app: &App,
    caller: &Caller,
    scope: Scope,
    request: &RequestInfo,
) -> Result<usize, RevokeError> {
    let mut connection = app.db.acquire().await?;
    let ended = store::revoke_sessions(
        &mut connection,
        &caller.user_id,
        &caller.session_id,
        scope == Scope::All,
        &request.to_json(),
    )
    .await?;
    if ended.standing != "fresh" {
        return Err(RevokeError::of_standing(&ended.standing));
    }
    let n_ended = ended.ids.len();
    app.feed.sessions_ended(ended.ids);
    Ok(n_ended)
}

/// Why a session was not ended.
#[derive(Debug)]
pub enum RevokeError {
    /// The user has no live session of that id.
    NotFound,
    /// Throwing others out needs a recent sign-in.
    SignInTooOld,
    /// The asking session has ended itself.
    SessionEnded,
    /// The database.
    Db(DbError),
}

impl RevokeError {
    fn of_standing(standing: &str) -> Self {
        match standing {
            "stale" => Self::SignInTooOld,
            "ended" => Self::SessionEnded,
            _ => Self::Db(DbError::Inconsistent("standing of unknown name")),
        }
    }
}

impl From<DbError> for RevokeError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

async fn end(
    app: &App,
    user_id: &str,
    session_id: &str,
    request: &RequestInfo,
) -> Result<bool, DbError> {
    let mut connection = app.db.acquire().await?;
    let found = store::revoke_session(
        &mut connection,
        user_id,
        session_id,
        "logout",
        &request.to_json(),
    )
    .await?;
    if found {
        app.feed.sessions_ended([session_id.to_owned()]);
    }
    Ok(found)
}
