//! The only SQL about checkouts and what Stripe reports.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::event::StripeEvent;
use super::model::{Begun, CHECKOUT_SECS, Wish};
use super::stripe::OpenedCheckout;
use crate::db::DbError;

/// What became of the wish to buy.
pub struct CheckoutRow {
    pub outcome: String,
    pub replayed: bool,
    pub checkout_url: Option<String>,
    pub status: Option<String>,
    pub created_at: Option<OffsetDateTime>,
    purchase_id: Option<String>,
    package_name: Option<String>,
    price_cents: Option<i64>,
    currency: Option<String>,
    success_url: Option<String>,
    cancel_url: Option<String>,
}

impl CheckoutRow {
    /// The purchase of an outcome that has one.
    pub fn into_begun(self) -> Result<Begun, DbError> {
        let begun = || {
            Some(Begun {
                purchase_id: self.purchase_id?,
                package_name: self.package_name?,
                price_cents: self.price_cents?,
                currency: self.currency?,
                success_url: self.success_url?,
                cancel_url: self.cancel_url?,
                created_at: self.created_at?,
            })
        };
        begun().ok_or(DbError::Inconsistent("a checkout without its purchase"))
    }
}

/// Reports that are not done.
pub struct Backlog {
    /// To be applied.
    pub waiting: i64,
    /// For an operator to look at.
    pub unresolved: i64,
}

/// Where apps receive people.
pub async fn load_return_origins(connection: &mut PgConnection) -> Result<Vec<String>, DbError> {
    let rows = sqlx::query_scalar!(
        r#"select distinct o as "origin!" from auth.apps a cross join unnest(a.return_origins) o
            where a.disabled_at is null limit $1"#,
        MAX_ORIGINS,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Writes a purchase down, or finds the one of this key.
pub async fn begin_checkout(
    connection: &mut PgConnection,
    user_id: &str,
    purchase_id: &str,
    wish: &Wish,
    key: Option<&str>,
    max_open: i32,
) -> Result<CheckoutRow, DbError> {
    let fingerprint = wish.fingerprint();
    let row = sqlx::query_as!(
        CheckoutRow,
        r#"select outcome as "outcome!", replayed as "replayed!", purchase_id, package_name, price_cents, currency,
                  success_url, cancel_url, checkout_url, status, created_at
             from credits.begin_checkout($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        user_id,
        purchase_id,
        wish.package_id,
        wish.success_url.as_str(),
        wish.cancel_url.as_str(),
        key,
        fingerprint.as_bytes(),
        CHECKOUT_SECS,
        max_open,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Notes the checkout of a purchase; `false` when it has another.
pub async fn note_checkout(
    connection: &mut PgConnection,
    user_id: &str,
    purchase_id: &str,
    opened: &OpenedCheckout,
) -> Result<bool, DbError> {
    let noted = sqlx::query_scalar!(
        r#"select credits.note_checkout($1, $2, $3, $4) as "noted!""#,
        user_id,
        purchase_id,
        opened.session_id,
        opened.url,
    )
    .fetch_one(connection)
    .await?;
    Ok(noted)
}

/// Notes that nobody can pay a purchase.
pub async fn fail_checkout(
    connection: &mut PgConnection,
    user_id: &str,
    purchase_id: &str,
) -> Result<(), DbError> {
    sqlx::query!("select credits.fail_checkout($1, $2)", user_id, purchase_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores a report; `false` when it had come before.
pub async fn receive_event(
    connection: &mut PgConnection,
    event: &StripeEvent,
    facts: &Value,
    state: &str,
    outcome: Option<&str>,
) -> Result<bool, DbError> {
    let is_new = sqlx::query_scalar!(
        r#"select credits.receive_stripe_event($1, $2, $3, $4, $5, $6, $7, $8, $9) as "is_new!""#,
        event.id,
        event.kind,
        event.created_at,
        event.object_id,
        event.payment_id,
        event.purchase_id,
        facts,
        state,
        outcome,
    )
    .fetch_one(connection)
    .await?;
    Ok(is_new)
}

/// Leases reports that are due.
pub async fn claim_events(
    connection: &mut PgConnection,
    limit: i32,
    max_attempts: i32,
) -> Result<Vec<String>, DbError> {
    let ids = sqlx::query_scalar!(
        r#"select id as "id!" from credits.claim_stripe_events($1, $2) id"#,
        limit,
        max_attempts,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// Applies one report, all of it or nothing.
pub async fn apply_event(
    connection: &mut PgConnection,
    id: &str,
    max_attempts: i32,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select credits.apply_stripe_event($1, $2) as "outcome!""#,
        id,
        max_attempts,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// How many reports are not done.
pub async fn load_backlog(connection: &mut PgConnection) -> Result<Backlog, DbError> {
    let backlog = sqlx::query_as!(
        Backlog,
        r#"select n_waiting as "waiting!", n_unresolved as "unresolved!" from credits.stripe_backlog()"#,
    )
    .fetch_one(connection)
    .await?;
    Ok(backlog)
}

/// Forgets where people were sent back to; says of how many purchases.
pub async fn sweep_purchases(connection: &mut PgConnection) -> Result<i64, DbError> {
    let swept = sqlx::query_scalar!(r#"select credits.sweep_purchases() as "swept!""#)
        .fetch_one(connection)
        .await?;
    Ok(swept)
}

/// Forgets reports that were applied long ago; says how many.
pub async fn sweep_events(connection: &mut PgConnection) -> Result<i64, DbError> {
    let swept = sqlx::query_scalar!(r#"select credits.sweep_stripe_events() as "swept!""#)
        .fetch_one(connection)
        .await?;
    Ok(swept)
}

/// More than all apps of one installation list.
const MAX_ORIGINS: i64 = 10_000;
