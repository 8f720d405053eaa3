//! What the user has set up.

use super::store::{self, StateRow};
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// The caller's second factors; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn read_state(app: &App, caller: &Caller) -> Result<Option<StateRow>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::read_state(&mut connection, caller).await
}
