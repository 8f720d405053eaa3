//! Everything kept about oneself.

use serde_json::Value;

use super::store;
use crate::app::App;
use crate::credits;
use crate::db::DbError;
use crate::http::Caller;

/// Profile, sessions, events, credits; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn export_data(app: &App, caller: &Caller) -> Result<Option<Value>, DbError> {
    let mut connection = app.db.acquire().await?;
    let Some(mut data) = store::export_own_data(&mut connection, caller).await? else {
        return Ok(None);
    };
    data["gifts"] = credits::export_gifts(&mut connection, &caller.user_id).await?;
    Ok(Some(data))
}
