//! Takes a key out of use at once.

use super::maintain::{change, load_locked, maintain, promote};
use super::model::{KeyState, SigningKeysError};
use super::store;
use crate::app::App;

/// Removes a key, puts it into the revocation feed and, when it was active, lets the standby
/// sign at once. `false` when no key of that id is in use.
///
/// # Errors
/// [`SigningKeysError`]; nothing was changed then.
pub async fn revoke(app: &App, kid: &str) -> Result<bool, SigningKeysError> {
    let found = app
        .db
        .retry("revoke_signing_key", || async {
            let mut tx = app.db.begin().await?;
            let (keys, _) = load_locked(app, &mut tx).await?;
            let Some(key) = keys.iter().find(|key| key.kid == kid) else {
                return Ok(false);
            };
            change(app, &mut tx, key, KeyState::Removed).await?;
            store::insert_key_revocation(&mut tx, kid, DENY_SECS).await?;
            let standby = keys
                .iter()
                .find(|k| k.purpose == key.purpose && k.state == KeyState::Pending);
            if let (KeyState::Active, Some(standby)) = (key.state, standby) {
                promote(app, &mut tx, standby).await?;
            }
            tx.commit().await?;
            Ok::<bool, SigningKeysError>(true)
        })
        .await?;
    // A revoked standby needs a successor, too.
    maintain(app).await?;
    Ok(found)
}

/// 30 days: longer than any cache of key sets lives.
const DENY_SECS: f64 = 2_592_000.0;
