//! The only SQL about sessions.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::end_many::SessionFilter;
use super::model::Session;
use super::open::NewSession;
use crate::config::TokenConfig;
use crate::db::DbError;

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
    device_name: Option<&str>,
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
        device_name,
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

/// Ends one session of the user on behalf of another: `revoked`, `absent`, `stale` or `ended`.
pub async fn revoke_own_session(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
    target_id: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.revoke_own_session($1, $2, $3, $4) as "outcome!""#,
        user_id,
        session_id,
        target_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// How the asking session stands, and the sessions that have been ended.
pub struct EndedSessions {
    pub standing: String,
    pub ids: Vec<String>,
}

/// Ends the user's sessions and names them; this one too, if asked.
pub async fn revoke_sessions(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
    this_too: bool,
    request: &Value,
) -> Result<EndedSessions, DbError> {
    let rows = sqlx::query!(
        r#"select standing as "standing!", session_id from auth.revoke_sessions($1, $2, $3, $4)"#,
        user_id,
        session_id,
        this_too,
        request,
    )
    .fetch_all(connection)
    .await?;
    let standing = rows.first().map(|row| row.standing.clone());
    Ok(EndedSessions {
        standing: standing.ok_or(DbError::Inconsistent("a session without standing"))?,
        ids: rows.into_iter().filter_map(|row| row.session_id).collect(),
    })
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

/// The database's time.
pub async fn now(connection: &mut PgConnection) -> Result<OffsetDateTime, DbError> {
    Ok(sqlx::query_scalar!(r#"select auth.clock() as "now!""#)
        .fetch_one(connection)
        .await?)
}

/// How many live sessions fit.
pub async fn count_live_sessions(
    connection: &mut PgConnection,
    filter: &SessionFilter,
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select auth.count_live_sessions($1, $2, $3) as "n!""#,
        filter.role,
        filter.opened_before,
        filter.opened_after,
    )
    .fetch_one(connection)
    .await?)
}

/// Sessions ended by one call, and where the next one goes on; nowhere when none was left.
pub struct EndedBatch {
    pub ended: i32,
    pub last_id: Option<String>,
}

/// Ends the next sessions that fit; `listed` names them in the feed.
pub async fn end_live_sessions(
    connection: &mut PgConnection,
    filter: &SessionFilter,
    listed: bool,
    after_id: &str,
    limit: i32,
) -> Result<EndedBatch, DbError> {
    Ok(sqlx::query_as!(
        EndedBatch,
        r#"select ended as "ended!", last_id from auth.end_live_sessions($1, $2, $3, $4, $5, $6)"#,
        filter.role,
        filter.opened_before,
        filter.opened_after,
        listed,
        after_id,
        limit,
    )
    .fetch_one(connection)
    .await?)
}
