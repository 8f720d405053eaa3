//! The only SQL about sessions.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::Session;
use super::open::NewSession;
use crate::config::TokenConfig;
use crate::db::DbError;
use crate::http::Caller;

/// The user of a session that was opened.
pub struct OpenedRow {
    pub email: String,
    pub name: Option<String>,
    pub role: String,
    pub email_verified: bool,
    pub created_at: OffsetDateTime,
    pub token_cutoff: i64,
}

/// What became of a presented refresh token.
pub struct RefreshRow {
    pub outcome: String,
    pub counter: Option<i64>,
    pub user_id: Option<String>,
    pub email: Option<String>,
    pub email_verified: Option<bool>,
    pub role: Option<String>,
    pub token_cutoff: Option<i64>,
}

/// Opens a session; `None` when the credential that was checked is no longer in force.
pub async fn open_session(
    connection: &mut PgConnection,
    new: &NewSession<'_>,
    session_id: &str,
    nonce_hash: &[u8],
    ttl: &TokenConfig,
    request: &Value,
) -> Result<Option<OpenedRow>, DbError> {
    let row = sqlx::query_as!(
        OpenedRow,
        r#"select email as "email!", name, role as "role!", email_verified as "email_verified!",
                  created_at as "created_at!", token_cutoff as "token_cutoff!"
             from auth.open_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#,
        new.user_id,
        new.credential_version,
        new.new_hash,
        session_id,
        nonce_hash,
        new.device_id,
        new.device_name,
        new.methods as &[&str],
        ttl.access_ttl_secs,
        ttl.refresh_ttl_secs,
        ttl.session_absolute_ttl_secs,
        request,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// The whole rule for a refresh token that is ours, in one call.
pub async fn refresh_session(
    connection: &mut PgConnection,
    session_id: &str,
    counter: i64,
    nonce_hash: &[u8],
    ttl: &TokenConfig,
    request: &Value,
) -> Result<RefreshRow, DbError> {
    let row = sqlx::query_as!(
        RefreshRow,
        r#"select outcome as "outcome!", counter, user_id, email, email_verified, role, token_cutoff
             from auth.refresh_session($1, $2, $3, $4, $5, $6)"#,
        session_id,
        counter,
        nonce_hash,
        ttl.access_ttl_secs,
        ttl.refresh_ttl_secs,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Ends one session of the user; `false` when there is no live one of that id.
pub async fn revoke_session(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
    reason: &str,
    request: &Value,
) -> Result<bool, DbError> {
    let revoked = sqlx::query_scalar!(
        r#"select auth.revoke_session($1, $2, $3, $4) as "revoked!""#,
        user_id,
        session_id,
        reason,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(revoked)
}

/// Ends the session of a refresh token: `revoked`, `ended` or `unknown`.
pub async fn revoke_session_by_token(
    connection: &mut PgConnection,
    session_id: &str,
    nonce_hash: &[u8],
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.revoke_session_by_token($1, $2, $3) as "outcome!""#,
        session_id,
        nonce_hash,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Ends a session at the wish of another one of the same user: `revoked`, `absent`, `stale`
/// or `ended`.
pub async fn revoke_one_session(
    connection: &mut PgConnection,
    caller: &Caller,
    session_id: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.revoke_one_session($1, $2, $3, $4) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        session_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Ends the user's other sessions and names them, if the standing of this one is `fresh`.
pub async fn revoke_other_sessions(
    connection: &mut PgConnection,
    caller: &Caller,
    request: &Value,
) -> Result<(String, Vec<String>), DbError> {
    let row = sqlx::query!(
        r#"select standing as "standing!", ended_ids as "ended_ids!" from auth.revoke_other_sessions($1, $2, $3)"#,
        caller.user_id,
        caller.session_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.standing, row.ended_ids))
}

/// The user's live sessions; none once the asking session has ended.
pub async fn list_sessions(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
) -> Result<Vec<Session>, DbError> {
    let rows = sqlx::query_as!(
        Session,
        r#"select id as "id!", device_id, device_name, user_agent, ip_address,
                  created_at as "created_at!", last_used_at as "last_used_at!", expires_at as "expires_at!"
             from auth.list_sessions($1, $2)"#,
        user_id,
        session_id,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Deletes sessions that ended long ago; says how many.
pub async fn sweep_sessions(connection: &mut PgConnection) -> Result<i64, DbError> {
    let swept = sqlx::query_scalar!(r#"select auth.sweep_sessions() as "swept!""#)
        .fetch_one(connection)
        .await?;
    Ok(swept)
}
