//! Seals secrets again after the master key has changed.

use super::store;
use super::totp::TotpSecret;
use crate::app::App;
use crate::db::DbError;

/// Takes over a bounded number of secrets; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn reseal(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let version = app.master_keys.current_version();
    for row in store::find_outdated_totp(&mut connection, version).await? {
        // One that does not open was made with a key that is gone: recovery codes still work.
        let Some(secret) = TotpSecret::open(app, &row.user_id, &row.sealed) else {
            continue;
        };
        let resealed = secret.seal(app, &row.user_id);
        store::reseal_totp(&mut connection, &row.user_id, &row.sealed.bytes, &resealed).await?;
    }
    Ok(())
}
