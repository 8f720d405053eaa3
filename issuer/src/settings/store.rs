//! The only SQL about settings.

use serde_json::Value;
use sqlx::PgConnection;

use super::model::Settings;
use crate::db::DbError;

/// What became of a change, and the settings as they are now.
pub struct ChangeRow {
    pub outcome: String,
    pub version: Option<i64>,
    pub global: Option<Value>,
    pub apps: Option<Value>,
}

/// The user's settings; `None` once the session has ended.
pub async fn find_settings(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: &str,
) -> Result<Option<Settings>, DbError> {
    let row = sqlx::query_as!(
        Settings,
        r#"select version as "version!", global as "global!", apps as "apps!"
             from auth.load_settings($1, $2)"#,
        user_id,
        session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Merges a patch, or removes an app's settings when there is none.
pub async fn change_settings(
    connection: &mut PgConnection,
    (user_id, session_id): (&str, &str),
    app_id: Option<&str>,
    patch: Option<&Value>,
    versions: Option<&[i64]>,
) -> Result<ChangeRow, DbError> {
    let row = sqlx::query_as!(
        ChangeRow,
        r#"select outcome as "outcome!", version, global, apps
             from auth.change_settings($1, $2, $3, $4, $5)"#,
        user_id,
        session_id,
        app_id,
        patch,
        versions,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}
