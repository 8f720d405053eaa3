//! Forgets challenges that are over.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Deletes a bounded number; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    store::sweep(&mut connection).await.map(drop)
}
