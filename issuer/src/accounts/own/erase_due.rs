//! Erases who asked to be deleted long enough ago.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Erases a bounded number; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn erase_due(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let n_erased = store::erase_due_users(&mut connection).await?;
    if n_erased > 0 {
        tracing::info!(n_erased, "erased users whose grace is over");
    }
    Ok(())
}
