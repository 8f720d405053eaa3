//! The user's passkeys.

use super::store::{self, PasskeyRow};
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// The caller's passkeys, oldest first; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn list(app: &App, caller: &Caller) -> Result<Option<Vec<PasskeyRow>>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::list_passkeys(&mut connection, caller).await
}
