//! Forgets revocations that concern no living token.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Deletes a bounded number of expired entries; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    store::delete_expired(&mut connection).await?;
    Ok(())
}
