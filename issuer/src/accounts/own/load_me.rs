//! The signed-in user.

use crate::accounts::model::User;
use crate::accounts::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// The user of the caller's session; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn load_me(app: &App, caller: &Caller) -> Result<Option<User>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::find_user(&mut connection, &caller.user_id, &caller.session_id).await
}
