//! The same from the command line, by a login that may migrate: the issuer's own may not.

use sqlx::PgConnection;

use super::model::{Acted, DeliveryListing, Filter, WebhookAct};
use super::store;
use crate::admin::Refused;
use crate::db::DbError;

/// The newest deliveries that fit.
///
/// # Errors
/// [`DbError`].
pub async fn list_deliveries(
    connection: &mut PgConnection,
    filter: &Filter,
) -> Result<Vec<DeliveryListing>, DbError> {
    store::operator_find_webhooks(connection, filter, MAX_LISTED).await
}

/// Does it.
///
/// # Errors
/// [`Refused`].
pub async fn act(connection: &mut PgConnection, act: &WebhookAct) -> Result<Acted, Refused> {
    let acted = store::operate_on_webhooks(connection, act).await?;
    Refused::unless_done(&acted.outcome)?;
    Ok(acted)
}

/// More than anybody reads in a terminal.
const MAX_LISTED: i32 = 200;
