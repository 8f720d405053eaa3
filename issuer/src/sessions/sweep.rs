//! Forgets sessions that ended long ago.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Deletes a bounded number; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let n_swept = store::sweep_sessions(&mut connection).await?;
    if n_swept > 0 {
        tracing::info!(n_swept, "deleted sessions that ended long ago");
    }
    Ok(())
}
