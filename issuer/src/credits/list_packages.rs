//! What can be bought.

use super::model::Package;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// The packages on offer, cheapest first.
///
/// # Errors
/// [`DbError`].
pub async fn list_packages(app: &App) -> Result<Vec<Package>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::list_packages(&mut connection, MAX_PACKAGES).await
}

/// Nobody chooses among more; keeps the answer bounded.
const MAX_PACKAGES: i64 = 100;
