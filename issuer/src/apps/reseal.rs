//! Seals webhook secrets again after the master key has changed.

use super::{seal, store};
use crate::app::App;
use crate::db::DbError;

/// Takes over a bounded number of secrets; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn reseal(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let version = seal::version_bytes(app.master_keys.current_version());
    for (app_id, sealed) in store::find_outdated_secrets(&mut connection, &version, BATCH).await? {
        // One that does not open was sealed with a key that is gone: another can be made.
        if let Some(resealed) = seal::reseal(app, &app_id, &sealed) {
            store::reseal_secret(&mut connection, &app_id, &sealed, &resealed).await?;
        }
    }
    Ok(())
}

/// A moment's work.
const BATCH: i64 = 100;
