//! The only SQL about spend limits.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{AppLimits, NewLimits, Period, SpendLimit};
use crate::credits::model::AppId;
use crate::credits::store::known;
use crate::db::DbError;
use crate::http::Caller;

struct LimitRow {
    outcome: Option<String>,
    app_id: Option<String>,
    period: Option<String>,
    cap: Option<i64>,
    used: Option<i64>,
    resets_at: Option<OffsetDateTime>,
    set_by_user: Option<i64>,
    set_by_admin: Option<i64>,
    set_by_app: Option<i64>,
}

impl TryFrom<LimitRow> for SpendLimit {
    type Error = DbError;

    fn try_from(row: LimitRow) -> Result<Self, DbError> {
        Ok(Self {
            period: Period::from_name(&known(row.period)?)
                .ok_or(DbError::Inconsistent("unknown period of a limit"))?,
            limit: row.cap,
            used: known(row.used)?,
            resets_at: known(row.resets_at)?,
            set_by_user: row.set_by_user,
            set_by_admin: row.set_by_admin,
            set_by_app: row.set_by_app,
        })
    }
}

/// Two rows make the limits of an app: a day's, then a month's. The outcome when it is not `done`.
fn pair(rows: Vec<LimitRow>) -> Result<Result<Vec<AppLimits>, String>, DbError> {
    let mut apps = Vec::with_capacity(rows.len() / 2);
    let mut rows = rows.into_iter();
    while let Some(mut row) = rows.next() {
        let outcome = known(row.outcome.take())?;
        if outcome != "done" {
            return Ok(Err(outcome));
        }
        let app_id = known(row.app_id.take())?;
        let (day, month) = (row.try_into()?, known(rows.next())?.try_into()?);
        apps.push(AppLimits { app_id, day, month });
    }
    Ok(Ok(apps))
}

/// The limits of one app, or of every app that has one or counts towards one.
pub async fn list_spend_limits(
    connection: &mut PgConnection,
    user_id: &str,
    app_id: Option<&AppId>,
) -> Result<Vec<AppLimits>, DbError> {
    let rows = sqlx::query_as!(
        LimitRow,
        "select outcome, app_id, period, cap, used, resets_at, set_by_user, set_by_admin, set_by_app
           from credits.list_spend_limits($1, $2)",
        user_id,
        app_id.map(AppId::as_str),
    )
    .fetch_all(connection)
    .await?;
    pair(rows)?.map_err(|_| DbError::Inconsistent("an outcome of reading limits"))
}

/// Sets what the user allows an app; the limits after it, or the outcome that says why not.
pub async fn set_spend_limits(
    connection: &mut PgConnection,
    user_id: &str,
    app_id: &AppId,
    new: NewLimits,
) -> Result<Result<Vec<AppLimits>, String>, DbError> {
    let rows = sqlx::query_as!(
        LimitRow,
        "select outcome, app_id, period, cap, used, resets_at, set_by_user, set_by_admin, set_by_app
           from credits.set_spend_limits($1, $2, $3, $4)",
        user_id,
        app_id.as_str(),
        new.day,
        new.month,
    )
    .fetch_all(connection)
    .await?;
    pair(rows)
}

/// Reads, or sets, what an admin allows an app for a user; the outcome when that was refused.
pub async fn administer_spend_limits(
    connection: &mut PgConnection,
    admin: &Caller,
    user_id: &str,
    app_id: &AppId,
    new: Option<NewLimits>,
    request: &Value,
) -> Result<Result<Vec<AppLimits>, String>, DbError> {
    let rows = sqlx::query_as!(
        LimitRow,
        "select outcome, app_id, period, cap, used, resets_at, set_by_user, set_by_admin, set_by_app
           from credits.administer_spend_limits($1, $2, $3, $4, $5, $6, $7, $8)",
        admin.user_id,
        admin.session_id,
        user_id,
        app_id.as_str(),
        new.is_some(),
        new.and_then(|new| new.day),
        new.and_then(|new| new.month),
        request,
    )
    .fetch_all(connection)
    .await?;
    pair(rows)
}
