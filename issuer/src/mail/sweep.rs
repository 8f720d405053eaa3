//! Forgets what is over.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Deletes a bounded number; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let n_swept = store::sweep_mail(&mut connection).await?;
    if n_swept > 0 {
        tracing::info!(n_swept, "forgot mail and links that are over");
    }
    Ok(())
}
