//! Forgets what is over.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Forgets where people were sent back to, and reports that were applied long ago.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    store::sweep_purchases(&mut connection).await?;
    store::sweep_events(&mut connection).await?;
    Ok(())
}
