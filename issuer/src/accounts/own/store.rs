//! The only SQL about one's own account.

use serde_json::Value;
use sqlx::PgConnection;

use super::update_profile::Changes;
use crate::accounts::{Email, User};
use crate::db::DbError;
use crate::http::Caller;
use crate::mail::Locale;

/// What the present password is checked against.
pub struct OwnPassword {
    pub standing: String,
    pub password_hash: Option<String>,
    pub credential_version: i64,
}

/// What became of an act that ends sessions.
pub struct Act {
    pub outcome: String,
    pub ended_sessions: Vec<String>,
}

/// Changes the profile; `None` once the session has ended.
pub async fn update_profile(
    connection: &mut PgConnection,
    caller: &Caller,
    changes: &Changes,
    request: &Value,
) -> Result<Option<User>, DbError> {
    let row = sqlx::query_as!(
        User,
        r#"select id as "id!", email as "email!", name, role as "role!",
                  email_verified as "email_verified!", created_at as "created_at!"
             from auth.update_profile($1, $2, $3, $4, $5)"#,
        caller.user_id,
        caller.session_id,
        changes.name,
        changes.locale.map(Locale::as_str),
        request,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// The present password's hash, and whether this session may change it.
pub async fn load_own_password(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<OwnPassword>, DbError> {
    let row = sqlx::query_as!(
        OwnPassword,
        r#"select standing as "standing!", password_hash, credential_version as "credential_version!"
             from auth.load_own_password($1, $2)"#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Sets a password if the one that was checked is still in force.
pub async fn change_password(
    connection: &mut PgConnection,
    caller: &Caller,
    credential_version: i64,
    password_hash: &str,
    request: &Value,
) -> Result<Act, DbError> {
    let row = sqlx::query_as!(
        Act,
        r#"select outcome as "outcome!", ended_sessions as "ended_sessions!"
             from auth.change_password($1, $2, $3, $4, $5)"#,
        caller.user_id,
        caller.session_id,
        credential_version,
        password_hash,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Asks for a link to a new address: `done`, `stale` or `ended`.
pub async fn request_email_change(
    connection: &mut PgConnection,
    caller: &Caller,
    email: &Email,
    token_id: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.request_email_change($1, $2, $3, $4, $5) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        email.as_str(),
        token_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Moves to the new address and names the user; `None` when the link is not good any more.
pub async fn confirm_email_change(
    connection: &mut PgConnection,
    token_id: &str,
    request: &Value,
) -> Result<Option<String>, DbError> {
    let user_id = sqlx::query_scalar!(
        "select auth.confirm_email_change($1, $2)",
        token_id,
        request
    )
    .fetch_one(connection)
    .await?;
    Ok(user_id)
}

/// Deletes the account.
pub async fn delete_account(
    connection: &mut PgConnection,
    caller: &Caller,
    request: &Value,
) -> Result<Act, DbError> {
    let row = sqlx::query_as!(
        Act,
        r#"select outcome as "outcome!", ended_sessions as "ended_sessions!"
             from auth.delete_own_account($1, $2, $3)"#,
        caller.user_id,
        caller.session_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Erases users whose grace is over; says how many.
pub async fn erase_due_users(connection: &mut PgConnection) -> Result<i64, DbError> {
    let erased = sqlx::query_scalar!(r#"select auth.erase_due_users() as "erased!""#)
        .fetch_one(connection)
        .await?;
    Ok(erased)
}

/// Everything kept about the user; `None` once the session has ended.
pub async fn export_own_data(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<Value>, DbError> {
    let data = sqlx::query_scalar!(
        "select auth.export_own_data($1, $2)",
        caller.user_id,
        caller.session_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(data)
}
