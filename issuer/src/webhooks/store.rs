//! The only SQL about webhooks.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{Acted, DeliveryListing, DueWebhook, Filter, MAX_WAITING_PER_APP, WebhookAct};
use crate::db::DbError;
use crate::http::Caller;

/// What became of one attempt.
pub struct Outcome {
    /// `delivered`, `retry` or `dead`.
    pub verdict: &'static str,
    /// What was answered.
    pub status: Option<i32>,
    /// Why not, in one word.
    pub code: Option<&'static str>,
    /// When to try again.
    pub retry_secs: i32,
}

/// What a sweep did.
pub struct Swept {
    /// Given up, because too many waited.
    pub n_overflowed: i64,
}

/// What is left to do.
pub struct Backlog {
    /// Deliveries that wait.
    pub n_waiting: i64,
    /// Deliveries that were given up.
    pub n_dead: i64,
    /// Age of the oldest that waits.
    pub oldest_secs: i64,
}

/// Leases deliveries that are due.
pub async fn claim_webhooks(
    connection: &mut PgConnection,
    limit: i32,
    per_app: i32,
    lease_secs: i32,
    max_attempts: i32,
) -> Result<Vec<DueWebhook>, DbError> {
    let rows = sqlx::query_as!(
        DueWebhook,
        r#"select id as "id!", app_id as "app_id!", event_id as "event_id!", body as "body!", attempt as "attempt!",
                  url, secret, previous_secret
             from auth.claim_webhooks($1, $2, $3, $4)"#,
        limit,
        per_app,
        lease_secs,
        max_attempts,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Notes what became of an attempt; says how many deliveries were given up with it.
pub async fn finish_webhook(
    connection: &mut PgConnection,
    webhook: &DueWebhook,
    outcome: &Outcome,
) -> Result<i64, DbError> {
    let n_gone = sqlx::query_scalar!(
        r#"select auth.finish_webhook($1, $2, $3, $4, $5, $6) as "n_gone!""#,
        webhook.id,
        webhook.attempt,
        outcome.verdict,
        outcome.status,
        outcome.code,
        outcome.retry_secs,
    )
    .fetch_one(connection)
    .await?;
    Ok(n_gone)
}

/// Gives up what waits beyond the limit, and forgets what ended long ago.
pub async fn sweep_webhooks(
    connection: &mut PgConnection,
    max_waiting: i32,
) -> Result<Swept, DbError> {
    let n_overflowed = sqlx::query_scalar!(
        r#"select n_overflowed as "n_overflowed!" from auth.sweep_webhooks($1)"#,
        max_waiting,
    )
    .fetch_one(connection)
    .await?;
    Ok(Swept { n_overflowed })
}

/// How much waits.
pub async fn load_backlog(connection: &mut PgConnection) -> Result<Backlog, DbError> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"select n_waiting as "n_waiting!", n_dead as "n_dead!", oldest_secs as "oldest_secs!" from auth.webhook_backlog()"#
    )
    .fetch_one(connection)
    .await?;
    Ok(backlog)
}

/// Deliveries with the standing of the admin who asks; none unless they may.
pub async fn list_webhooks(
    connection: &mut PgConnection,
    caller: &Caller,
    filter: &Filter,
    before: i64,
    limit: i32,
) -> Result<(String, Vec<DeliveryListing>), DbError> {
    let rows = sqlx::query!(
        r#"select standing, id, app_id, event_id, type as kind, body, state, attempts, created_at, due_at,
                  last_attempt_at, last_status, last_error, ended_at
             from auth.list_webhooks($1, $2, $3, $4, $5, $6, $7, $8)"#,
        caller.user_id,
        caller.session_id,
        filter.id,
        filter.app_id,
        filter.state.map(super::DeliveryState::name),
        filter.kind.map(super::EventType::name),
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let standing = standing.ok_or(DbError::Inconsistent("no standing"))?;
    let listed = rows.filter_map(|row| {
        let row = Row {
            id: row.id?,
            app_id: row.app_id?,
            event_id: row.event_id?,
            kind: row.kind?,
            body: row.body?,
            state: row.state?,
            attempts: row.attempts?,
            created_at: row.created_at?,
            due_at: row.due_at?,
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_error: row.last_error,
            ended_at: row.ended_at,
        };
        Some(DeliveryListing::try_from(row))
    });
    Ok((standing, listed.collect::<Result<_, _>>()?))
}

/// The same for the operator.
pub async fn operator_find_webhooks(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: i32,
) -> Result<Vec<DeliveryListing>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id as "id!", app_id as "app_id!", event_id as "event_id!", type as "kind!", body as "body!",
                  state as "state!", attempts as "attempts!", created_at as "created_at!", due_at as "due_at!",
                  last_attempt_at, last_status, last_error, ended_at
             from auth.find_webhooks($1, $2, $3, $4, 9223372036854775807, $5)"#,
        filter.id,
        filter.app_id,
        filter.state.map(super::DeliveryState::name),
        filter.kind.map(super::EventType::name),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(DeliveryListing::try_from).collect()
}

/// An act of an admin.
pub async fn act_on_webhooks(
    connection: &mut PgConnection,
    caller: &Caller,
    act: &WebhookAct,
    request: &Value,
) -> Result<Acted, DbError> {
    let acted = sqlx::query_as!(
        Acted,
        r#"select outcome as "outcome!", n_replayed, delivery_id
             from auth.act_on_webhooks($1, $2, $3, $4, $5, $6, $7)"#,
        caller.user_id,
        caller.session_id,
        act.name(),
        act.app_id(),
        act.delivery_id(),
        MAX_WAITING_PER_APP,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(acted)
}

/// The same act of the operator.
pub async fn operate_on_webhooks(
    connection: &mut PgConnection,
    act: &WebhookAct,
) -> Result<Acted, DbError> {
    let acted = sqlx::query_as!(
        Acted,
        r#"select outcome as "outcome!", n_replayed, delivery_id from auth.operate_on_webhooks($1, $2, $3, $4)"#,
        act.name(),
        act.app_id(),
        act.delivery_id(),
        MAX_WAITING_PER_APP,
    )
    .fetch_one(connection)
    .await?;
    Ok(acted)
}

struct Row {
    id: i64,
    app_id: String,
    event_id: String,
    kind: String,
    body: String,
    state: String,
    attempts: i32,
    created_at: OffsetDateTime,
    due_at: OffsetDateTime,
    last_attempt_at: Option<OffsetDateTime>,
    last_status: Option<i32>,
    last_error: Option<String>,
    ended_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for DeliveryListing {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let payload = serde_json::from_str(&row.body);
        Ok(Self {
            id: row.id,
            app_id: row.app_id,
            event_id: row.event_id,
            kind: row.kind,
            attempts: row.attempts,
            created_at: row.created_at,
            next_attempt_at: Some(row.due_at).filter(|_| row.ended_at.is_none()),
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_error: row.last_error,
            ended_at: row.ended_at,
            payload: payload.map_err(|_| DbError::Inconsistent("a webhook that is not JSON"))?,
            state: row.state,
        })
    }
}
