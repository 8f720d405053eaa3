//! The only SQL about apps and service credentials.

use serde_json::Value;
use sqlx::PgConnection;

use super::model::{AppListing, Service, ServiceListing};
use crate::db::DbError;
use crate::http::Caller;

/// An act of an admin, of any kind; answers its outcome.
pub async fn act(
    connection: &mut PgConnection,
    caller: &Caller,
    name: &str,
    id: &str,
    fields: &Value,
    secret: Option<&[u8]>,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.act_on_apps($1, $2, $3, $4, $5, $6, $7) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        name,
        id,
        fields,
        secret,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// The same act of the operator.
pub async fn operate(
    connection: &mut PgConnection,
    name: &str,
    id: &str,
    fields: &Value,
    secret: Option<&[u8]>,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.operate_on_apps($1, $2, $3, $4) as "outcome!""#,
        name,
        id,
        fields,
        secret,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Whether the caller is an admin now.
pub async fn standing(connection: &mut PgConnection, caller: &Caller) -> Result<String, DbError> {
    let standing = sqlx::query_scalar!(
        r#"select auth.admin_role_standing($1, $2) as "standing!""#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(standing)
}

/// All apps, or the one of this id.
pub async fn list_apps(
    connection: &mut PgConnection,
    app_id: Option<&str>,
    limit: i64,
) -> Result<Vec<AppListing>, DbError> {
    let rows = sqlx::query_as!(
        AppListing,
        "select id as app_id, name, audiences, return_origins, spend_limit_day, spend_limit_month, webhook_url,
                created_at, updated_at, disabled_at
           from auth.apps where $1::text is null or id = $1 order by id limit $2",
        app_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Credentials with the standing of the admin who asks; none unless they may.
pub async fn list_services(
    connection: &mut PgConnection,
    caller: &Caller,
    limit: i32,
) -> Result<(String, Vec<ServiceListing>), DbError> {
    let rows = sqlx::query!(
        "select standing, id, name, app_id, scopes, created_at, last_used_at, expires_at, revoked_at
           from auth.list_service_credentials($1, $2, $3)",
        caller.user_id,
        caller.session_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let standing = standing.ok_or(DbError::Inconsistent("no standing"))?;
    let listed = rows.filter_map(|row| {
        Some(ServiceListing {
            id: row.id?,
            name: row.name?,
            app_id: row.app_id,
            scopes: row.scopes?,
            created_at: row.created_at?,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    });
    Ok((standing, listed.collect()))
}

/// The same list for the operator.
pub async fn operator_list_services(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<ServiceListing>, DbError> {
    let rows = sqlx::query_as!(
        ServiceListing,
        "select id, name, app_id, scopes, created_at, last_used_at, expires_at, revoked_at
           from auth.service_credentials order by created_at desc, id limit $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The service behind a secret.
pub async fn authenticate_service(
    connection: &mut PgConnection,
    secret_hash: &[u8],
) -> Result<Option<Service>, DbError> {
    let row = sqlx::query_as!(
        Service,
        r#"select id as "id!", app_id as "app_id!", scopes as "scopes!" from auth.authenticate_service($1)"#,
        secret_hash,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Webhook secrets sealed under another master key than the one of these bytes, each with its app.
pub async fn find_outdated_secrets(
    connection: &mut PgConnection,
    version: &[u8],
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, DbError> {
    let rows = sqlx::query!(
        r#"select a.id, s.sealed as "sealed!"
             from auth.apps a
            cross join unnest(array[a.sealed_webhook_secret, a.previous_webhook_secret]) s (sealed)
            where substring(s.sealed for 4) <> $1 order by a.id limit $2"#,
        version,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.sealed)).collect())
}

/// Takes over a secret that was sealed again; `false` when it has been replaced meanwhile.
pub async fn reseal_secret(
    connection: &mut PgConnection,
    app_id: &str,
    old: &[u8],
    new: &[u8],
) -> Result<bool, DbError> {
    let resealed = sqlx::query_scalar!(
        r#"select auth.reseal_webhook_secret($1, $2, $3) as "resealed!""#,
        app_id,
        old,
        new,
    )
    .fetch_one(connection)
    .await?;
    Ok(resealed)
}
