//! The only SQL about usage.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{Bucket, Cursor, Span, Usage};
use crate::credits::store::known;
use crate::db::DbError;

struct UsageRow {
    app_id: Option<String>,
    starts_at: Option<OffsetDateTime>,
    n_charges: Option<i64>,
    spent: Option<i64>,
    refunded: Option<i64>,
}

impl TryFrom<UsageRow> for Usage {
    type Error = DbError;

    fn try_from(row: UsageRow) -> Result<Self, DbError> {
        Ok(Self {
            app_id: row.app_id,
            starts_at: row.starts_at,
            n_charges: known(row.n_charges)?,
            spent: known(row.spent)?,
            refunded: known(row.refunded)?,
        })
    }
}

/// Lines of usage, newest first, then by app.
pub async fn list_usage(
    connection: &mut PgConnection,
    user_id: &str,
    span: Span,
    after: &Cursor,
    limit: i32,
) -> Result<Vec<Usage>, DbError> {
    let rows = sqlx::query_as!(
        UsageRow,
        "select app_id, starts_at, n_charges, spent, refunded
           from credits.list_usage($1, $2, $3, $4, $5, $6, $7, $8)",
        user_id,
        span.grouping.by_app,
        span.grouping.bucket.map(Bucket::name),
        span.from,
        span.to,
        after.starts_at,
        after.app_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Usage::try_from).collect()
}

/// One step of summing up, for at most `limit` accounts; says whether there is more to do.
pub async fn roll_up_usage(connection: &mut PgConnection, limit: i32) -> Result<bool, DbError> {
    let more = sqlx::query_scalar!(r#"select credits.roll_up_usage($1) as "more!""#, limit)
        .fetch_one(connection)
        .await?;
    Ok(more)
}
