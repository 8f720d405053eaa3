//! The only SQL about mail that people ask for.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::accounts::Email;
use crate::db::DbError;

/// Whose link was used.
pub struct UsedLink {
    pub user_id: String,
    pub email: String,
    pub ended_sessions: Vec<String>,
}

/// Asks for a verification or reset mail to an address, whoever has it.
pub async fn request_mail(
    connection: &mut PgConnection,
    email: &Email,
    purpose: &str,
    token_id: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.request_mail($1, $2, $3, $4)",
        email.as_str(),
        purpose,
        token_id,
        request,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The verification mail of a registration, in its transaction.
pub async fn request_first_mail(
    connection: &mut PgConnection,
    user_id: &str,
    token_id: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.request_first_mail($1, $2, $3)",
        user_id,
        token_id,
        request,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells the owner of an address that somebody registered it once more; answers the time.
pub async fn note_repeated_registration(
    connection: &mut PgConnection,
    email: &Email,
    token_id: &str,
    request: &Value,
) -> Result<OffsetDateTime, DbError> {
    let at = sqlx::query_scalar!(
        r#"select auth.note_repeated_registration($1, $2, $3) as "at!""#,
        email.as_str(),
        token_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(at)
}

/// Notes a sign-in with the right password and an unproven address, and sends the mail again.
pub async fn refuse_unverified_login(
    connection: &mut PgConnection,
    user_id: &str,
    token_id: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.refuse_unverified_login($1, $2, $3)",
        user_id,
        token_id,
        request,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes one try of a code and names the mail it is in; `None` when there is none left.
pub async fn try_mail_code(
    connection: &mut PgConnection,
    email: &Email,
    request: &Value,
) -> Result<Option<String>, DbError> {
    let token_id =
        sqlx::query_scalar!("select auth.try_mail_code($1, $2)", email.as_str(), request)
            .fetch_one(connection)
            .await?;
    Ok(token_id)
}

/// Uses a verification link; `None` when it is not good any more.
pub async fn verify_email(
    connection: &mut PgConnection,
    token_id: &str,
    request: &Value,
) -> Result<Option<UsedLink>, DbError> {
    let row = sqlx::query_as!(
        UsedLink,
        r#"select user_id as "user_id!", email as "email!", ended_sessions as "ended_sessions!"
             from auth.verify_email($1, $2)"#,
        token_id,
        request,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Uses a reset link; `None` when it is not good any more.
pub async fn reset_password(
    connection: &mut PgConnection,
    token_id: &str,
    password_hash: &str,
    request: &Value,
) -> Result<Option<UsedLink>, DbError> {
    let row = sqlx::query_as!(
        UsedLink,
        r#"select user_id as "user_id!", email as "email!", ended_sessions as "ended_sessions!"
             from auth.reset_password($1, $2, $3)"#,
        token_id,
        password_hash,
        request,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}
