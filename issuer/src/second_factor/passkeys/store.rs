//! The only SQL about passkeys.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ceremony::Purpose;
use super::relying_party::{Registered, Updated};
use crate::db::DbError;
use crate::http::Caller;
use crate::second_factor::challenge_token::ChallengeId;

/// Who wants to register a passkey.
pub struct OwnerRow {
    pub standing: String,
    pub email: String,
    pub name: Option<String>,
    pub credential_ids: Vec<Vec<u8>>,
}

/// A passkey as its user sees it.
pub struct PasskeyRow {
    /// Opaque id.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Whether it is backed up or shared between devices.
    pub synced: bool,
    /// When it was registered.
    pub created_at: OffsetDateTime,
    /// When it was last used.
    pub last_used_at: Option<OffsetDateTime>,
}

/// A passkey as it is checked.
pub struct FoundPasskey {
    pub id: String,
    pub user_id: String,
    pub credential: Value,
    pub credential_version: i64,
}

/// Keeps what an authenticator was asked.
pub async fn insert_ceremony(
    connection: &mut PgConnection,
    id: &ChallengeId,
    user_id: Option<&str>,
    purpose: Purpose<'_>,
    state: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.insert_ceremony($1, $2, $3, $4, $5, $6)",
        id.as_slice(),
        purpose.kind(),
        user_id,
        purpose.session_id(),
        purpose.challenge_id(),
        state,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What an authenticator was asked, once.
pub async fn take_ceremony(
    connection: &mut PgConnection,
    id: &ChallengeId,
    user_id: Option<&str>,
    purpose: Purpose<'_>,
) -> Result<Option<Value>, DbError> {
    let state = sqlx::query_scalar!(
        "select auth.take_ceremony($1, $2, $3, $4, $5)",
        id.as_slice(),
        purpose.kind(),
        user_id,
        purpose.session_id(),
        purpose.challenge_id(),
    )
    .fetch_one(connection)
    .await?;
    Ok(state)
}

/// The caller, as an authenticator will call them.
pub async fn find_owner(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<OwnerRow>, DbError> {
    let row = sqlx::query_as!(
        OwnerRow,
        r#"select standing as "standing!", email as "email!", name, credential_ids as "credential_ids!"
             from auth.find_passkey_owner($1, $2)"#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Keeps a new passkey.
pub async fn add_passkey(
    connection: &mut PgConnection,
    caller: &Caller,
    id: &str,
    registered: &Registered,
    name: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.add_passkey($1, $2, $3, $4, $5, $6, $7, $8) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        id,
        registered.credential_id,
        registered.credential,
        registered.counter,
        name,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// The user's passkeys; `None` once the session has ended.
pub async fn list_passkeys(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<Vec<PasskeyRow>>, DbError> {
    let rows = sqlx::query!(
        "select id, name, synced, created_at, last_used_at from auth.list_passkeys($1, $2)",
        caller.user_id,
        caller.session_id,
    )
    .fetch_all(connection)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let passkeys = rows.into_iter().filter_map(|row| {
        Some(PasskeyRow {
            id: row.id?,
            name: row.name?,
            synced: row.synced?,
            created_at: row.created_at?,
            last_used_at: row.last_used_at,
        })
    });
    Ok(Some(passkeys.collect()))
}

/// Gives a passkey another name.
pub async fn rename_passkey(
    connection: &mut PgConnection,
    caller: &Caller,
    id: &str,
    name: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.rename_passkey($1, $2, $3, $4, $5) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        id,
        name,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Forgets a passkey.
pub async fn remove_passkey(
    connection: &mut PgConnection,
    caller: &Caller,
    id: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.remove_passkey($1, $2, $3, $4) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Whose credential this is.
pub async fn find_passkey(
    connection: &mut PgConnection,
    credential_id: &[u8],
) -> Result<Option<FoundPasskey>, DbError> {
    let row = sqlx::query_as!(
        FoundPasskey,
        r#"select id as "id!", user_id as "user_id!", credential as "credential!",
                  credential_version as "credential_version!"
             from auth.find_passkey($1)"#,
        credential_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// User and passkeys of a sign-in that waits for its second factor.
pub async fn find_challenged(
    connection: &mut PgConnection,
    id: &ChallengeId,
) -> Result<Option<(String, Vec<Value>)>, DbError> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id!", credential as "credential!" from auth.find_challenged_passkeys($1)"#,
        id.as_slice(),
    )
    .fetch_all(connection)
    .await?;
    let user_id = rows.first().map(|row| row.user_id.clone());
    Ok(user_id.map(|user_id| {
        (
            user_id,
            rows.into_iter().map(|row| row.credential).collect(),
        )
    }))
}

/// The caller's credentials; `None` once the session has ended.
pub async fn find_own(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<Vec<Value>>, DbError> {
    let rows = sqlx::query_scalar!(
        "select credential from auth.find_own_passkeys($1, $2)",
        caller.user_id,
        caller.session_id,
    )
    .fetch_all(connection)
    .await?;
    Ok((!rows.is_empty()).then(|| rows.into_iter().flatten().collect()))
}

/// Notes the use of a passkey; `false` when its counter did not grow.
pub async fn use_passkey(
    connection: &mut PgConnection,
    user_id: &str,
    id: &str,
    updated: &Updated,
) -> Result<bool, DbError> {
    let used = sqlx::query_scalar!(
        r#"select auth.use_passkey($1, $2, $3, $4) as "used!""#,
        user_id,
        id,
        updated.counter,
        updated.credential,
    )
    .fetch_one(connection)
    .await?;
    Ok(used)
}

/// Notes an answer that was wrong.
pub async fn record_refused(
    connection: &mut PgConnection,
    user_id: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.record_refused_second_factor($1, null, 'passkey', $2)",
        user_id,
        request,
    )
    .execute(connection)
    .await?;
    Ok(())
}
