//! Ending sessions.

use super::store;
use crate::app::App;
use crate::db::DbError;
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
    let found = end(app, &caller.user_id, &caller.session_id, "logout", request).await?;
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

/// Ends one of the caller's sessions; `false` when there is no live one of that id.
///
/// # Errors
/// [`DbError`].
pub async fn revoke(
    app: &App,
    caller: &Caller,
    session_id: &str,
    request: &RequestInfo,
) -> Result<bool, DbError> {
    end(app, &caller.user_id, session_id, "revoked_by_user", request).await
}

/// Ends every session of the caller but this one and says how many; `None` when this one has
/// ended itself.
///
/// # Errors
/// [`DbError`].
pub async fn revoke_others(
    app: &App,
    caller: &Caller,
    request: &RequestInfo,
) -> Result<Option<usize>, DbError> {
    let mut connection = app.db.acquire().await?;
    let ended = store::revoke_other_sessions(
        &mut connection,
        &caller.user_id,
        &caller.session_id,
        &request.to_json(),
    )
    .await?;
    let n_ended = ended.as_ref().map(Vec::len);
    app.feed.sessions_ended(ended.unwrap_or_default());
    Ok(n_ended)
}

async fn end(
    app: &App,
    user_id: &str,
    session_id: &str,
    reason: &str,
    request: &RequestInfo,
) -> Result<bool, DbError> {
    let mut connection = app.db.acquire().await?;
    let found = store::revoke_session(
        &mut connection,
        user_id,
        session_id,
        reason,
        &request.to_json(),
    )
    .await?;
    if found {
        app.feed.sessions_ended([session_id.to_owned()]);
    }
    Ok(found)
}
