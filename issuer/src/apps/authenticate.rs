//! Recognizing a service by its secret.

use super::model::{SECRET_PREFIX, Service};
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::secret::sha256;

/// The service behind a secret; `None` when it is unknown, revoked, expired or of a disabled app.
///
/// # Errors
/// [`DbError`].
pub async fn authenticate(app: &App, secret: &str) -> Result<Option<Service>, DbError> {
    if secret.len() != SECRET_BYTES || !secret.starts_with(SECRET_PREFIX) {
        return Ok(None);
    }
    let mut connection = app.db.acquire().await?;
    store::authenticate_service(&mut connection, &sha256(secret.as_bytes())).await
}

/// The prefix and 43 characters of base64url: 256 bits.
const SECRET_BYTES: usize = 47;
