//! What was bought.

use super::model::Purchase;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// The user's latest purchases, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list_purchases(app: &App, user_id: &str) -> Result<Vec<Purchase>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::list_purchases(&mut connection, user_id, MAX_PURCHASES).await
}

/// Years of purchases for almost everybody; older ones are in the transactions.
const MAX_PURCHASES: i32 = 200;
