//! The user's sessions.

use super::model::Session;
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// The caller's live sessions, last used first; none once the caller's own has ended.
///
/// # Errors
/// [`DbError`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Session>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::list_sessions(&mut connection, &caller.user_id, &caller.session_id).await
}
