//! What the user has set.

use super::model::Settings;
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// The caller's settings; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn load_settings(app: &App, caller: &Caller) -> Result<Option<Settings>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::find_settings(&mut connection, &caller.user_id, &caller.session_id).await
}
