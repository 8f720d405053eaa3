//! What an operator sees of the keys.

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::maintain::load_locked;
use super::model::{KeyState, SigningKeysError};
use crate::app::App;

/// One key in a listing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyListing {
    /// Its id.
    pub kid: String,
    /// `access_token` or `revocation_feed`.
    pub purpose: &'static str,
    /// `pending`, `active` or `retiring`.
    pub state: &'static str,
    /// When verifiers were first told of it (RFC 3339).
    pub published_at: String,
    /// For a standby: seconds until it may be promoted, 0 when it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotable_in_secs: Option<i64>,
}

/// Every key that is not removed, in the order in which they sign.
///
/// # Errors
/// [`SigningKeysError`].
pub async fn list(app: &App) -> Result<Vec<KeyListing>, SigningKeysError> {
    let mut tx = app.db.begin().await?;
    let (keys, now) = load_locked(app, &mut tx).await?;
    tx.commit().await?;
    let listing = keys.into_iter().map(|key| {
        let left = key
            .promotable_in(app.config.tokens.key_publish_ahead, now)
            .max(Duration::ZERO);
        KeyListing {
            promotable_in_secs: (key.state == KeyState::Pending).then(|| left.whole_seconds()),
            purpose: key.purpose.name(),
            state: key.state.name(),
            published_at: rfc3339(key.published_at),
            kid: key.kid,
        }
    });
    Ok(listing.collect())
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.truncate_to_second()
        .format(&Rfc3339)
        .expect("the years of keys have four digits")
}
