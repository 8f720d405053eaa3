//! Takes over what the database holds, so that another issuer's change is seen within a second.

use super::model::SigningKeysError;
use super::store;
use crate::app::App;

/// Reads the keys and replaces those in memory. Rows whose seal does not verify are left out.
///
/// # Errors
/// [`SigningKeysError::Db`]; the keys in memory stay.
pub async fn reload(app: &App) -> Result<(), SigningKeysError> {
    let mut connection = app.db.acquire().await?;
    let rows = store::present_keys(&mut connection).await?;
    drop(connection);
    let keys = rows
        .into_iter()
        .filter_map(|row| {
            let kid = row.kid.clone();
            let key = row.open(&app.master_keys);
            if key.is_none() {
                tracing::error!(
                    kid,
                    "a signing key's row was not written by us and is ignored"
                );
            }
            key
        })
        .collect();
    app.keys.replace(keys);
    Ok(())
}
