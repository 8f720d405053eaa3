//! The only SQL about packages, and about purchases and reports of everybody.

use serde_json::Value;
use sqlx::PgConnection;

use super::model::{EventListing, PackageListing, PurchaseListing};
use crate::db::DbError;
use crate::http::Caller;

/// An act of an admin on a package; answers its outcome.
pub async fn act_on_package(
    connection: &mut PgConnection,
    caller: &Caller,
    name: &str,
    id: &str,
    fields: &Value,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select credits.act_on_package($1, $2, $3, $4, $5, $6) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        name,
        id,
        fields,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// The same act of the operator.
pub async fn operate_on_package(
    connection: &mut PgConnection,
    name: &str,
    id: &str,
    fields: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select credits.operate_on_package($1, $2, $3) as "outcome!""#,
        name,
        id,
        fields,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// An act of an admin on a purchase or a report; answers its outcome.
pub async fn act_on_purchase(
    connection: &mut PgConnection,
    caller: &Caller,
    name: &str,
    id: &str,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select credits.act_on_purchase($1, $2, $3, $4, $5) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        name,
        id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// The same act of the operator.
pub async fn operate_on_purchase(
    connection: &mut PgConnection,
    name: &str,
    id: &str,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select credits.operate_on_purchase($1, $2) as "outcome!""#,
        name,
        id,
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

/// All packages, or the one of this id, cheapest first.
pub async fn list_packages(
    connection: &mut PgConnection,
    id: Option<&str>,
    limit: i64,
) -> Result<Vec<PackageListing>, DbError> {
    let rows = sqlx::query_as!(
        PackageListing,
        "select id, name, credits, price_cents, currency, active, created_at, updated_at
           from credits.packages where $1::text is null or id = $1 order by price_cents, id limit $2",
        id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Purchases with the standing of the admin who asks; none unless they may.
pub async fn list_purchases(
    connection: &mut PgConnection,
    caller: &Caller,
    user_id: Option<&str>,
    only: Option<&str>,
    limit: i32,
) -> Result<(String, Vec<PurchaseListing>), DbError> {
    let rows = sqlx::query!(
        r#"select l.standing, (l.listed).id, (l.listed).user_id, (l.listed).package_id, (l.listed).credits,
                  (l.listed).price_cents, (l.listed).currency, (l.listed).status, (l.listed).refunded_cents,
                  (l.listed).credits_taken_back, (l.listed).dispute, (l.listed).problem, (l.listed).payment_id,
                  (l.listed).checkout_session_id, (l.listed).created_at, (l.listed).paid_at
             from credits.admin_list_purchases($1, $2, $3, $4, $5) l"#,
        caller.user_id,
        caller.session_id,
        user_id,
        only,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let listed = rows.filter_map(|row| {
        Some(PurchaseListing {
            id: row.id?,
            user_id: row.user_id,
            package_id: row.package_id?,
            credits: row.credits?,
            price_cents: row.price_cents?,
            currency: row.currency?,
            status: row.status?,
            refunded_cents: row.refunded_cents?,
            credits_taken_back: row.credits_taken_back?,
            dispute: row.dispute,
            problem: row.problem,
            payment_id: row.payment_id,
            checkout_session_id: row.checkout_session_id,
            created_at: row.created_at?,
            paid_at: row.paid_at,
        })
    });
    Ok((known(standing)?, listed.collect()))
}

/// Reports with the standing of the admin who asks; none unless they may.
pub async fn list_events(
    connection: &mut PgConnection,
    caller: &Caller,
    state: Option<&str>,
    purchase_id: Option<&str>,
    limit: i32,
) -> Result<(String, Vec<EventListing>), DbError> {
    let rows = sqlx::query!(
        r#"select l.standing, (l.listed).id, (l.listed).type as kind, (l.listed).state, (l.listed).outcome,
                  (l.listed).object_id, (l.listed).payment_id, (l.listed).purchase_id, (l.listed).n_deliveries,
                  (l.listed).attempts, (l.listed).last_error_code, (l.listed).created_at, (l.listed).received_at,
                  (l.listed).done_at, (l.listed).next_attempt_at
             from credits.admin_list_stripe_events($1, $2, $3, $4, $5) l"#,
        caller.user_id,
        caller.session_id,
        state,
        purchase_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let listed = rows.filter_map(|row| {
        Some(EventListing {
            id: row.id?,
            kind: row.kind?,
            state: row.state?,
            outcome: row.outcome,
            object_id: row.object_id,
            payment_id: row.payment_id,
            purchase_id: row.purchase_id,
            n_deliveries: row.n_deliveries?,
            attempts: row.attempts?,
            last_error_code: row.last_error_code,
            created_at: row.created_at?,
            received_at: row.received_at?,
            done_at: row.done_at,
            next_attempt_at: row.next_attempt_at,
        })
    });
    Ok((known(standing)?, listed.collect()))
}

/// The same list for the operator.
pub async fn operator_list_events(
    connection: &mut PgConnection,
    state: Option<&str>,
    limit: i32,
) -> Result<Vec<EventListing>, DbError> {
    let rows = sqlx::query_as!(
        EventListing,
        r#"select id as "id!", type as "kind!", state as "state!", outcome, object_id, payment_id, purchase_id,
                  n_deliveries as "n_deliveries!", attempts as "attempts!", last_error_code,
                  created_at as "created_at!", received_at as "received_at!", done_at, next_attempt_at
             from credits.find_stripe_events($1, null, $2)"#,
        state,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

fn known(standing: Option<String>) -> Result<String, DbError> {
    standing.ok_or(DbError::Inconsistent("no standing"))
}
