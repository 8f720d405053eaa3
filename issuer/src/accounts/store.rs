//! The only SQL about accounts.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{Email, User};
use crate::db::DbError;

/// What a sign-in is checked against.
pub struct Credentials {
    pub user_id: String,
    pub password_hash: Option<String>,
    pub status: String,
    pub two_factor_enabled: bool,
    pub email_verified: bool,
    pub credential_version: i64,
}

/// A user to be made.
pub struct NewUser<'a> {
    pub id: &'a str,
    pub email: &'a Email,
    pub name: Option<&'a str>,
    pub password_hash: &'a str,
    pub locale: &'static str,
}

/// Inserts a user and says when; `None` when the address is taken.
pub async fn insert_user(
    connection: &mut PgConnection,
    user: &NewUser<'_>,
    request: &Value,
) -> Result<Option<OffsetDateTime>, DbError> {
    let created_at = sqlx::query_scalar!(
        "select auth.register_user($1, $2, $3, $4, $5, $6)",
        user.id,
        user.email.as_str(),
        user.name,
        user.password_hash,
        user.locale,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(created_at)
}

/// What is stored for an address; `None` when nobody has it.
pub async fn find_credentials(
    connection: &mut PgConnection,
    email: &Email,
) -> Result<Option<Credentials>, DbError> {
    let row = sqlx::query_as!(
        Credentials,
        r#"select user_id as "user_id!", password_hash, status as "status!", two_factor_enabled as "two_factor_enabled!",
                  email_verified as "email_verified!", credential_version as "credential_version!"
             from auth.find_credentials($1)"#,
        email.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Notes a refused sign-in.
pub async fn record_refused_login(
    connection: &mut PgConnection,
    user_id: Option<&str>,
    reason: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.record_refused_login($1, $2, $3)",
        user_id,
        reason,
        request
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The user of a live session; `None` once it has ended.
pub async fn find_user(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
) -> Result<Option<User>, DbError> {
    let row = sqlx::query_as!(
        User,
        r#"select id as "id!", email as "email!", name, role as "role!",
                  email_verified as "email_verified!", created_at as "created_at!"
             from auth.load_user($1, $2)"#,
        user_id,
        session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
