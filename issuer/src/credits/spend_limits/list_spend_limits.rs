//! Reading limits and what counts towards them.

use super::model::AppLimits;
use super::store;
use crate::app::App;
use crate::credits::model::AppId;
use crate::db::DbError;

/// The limits of the user in one app, or in every app that has one or counts towards one. Empty
/// when the user has no account.
///
/// # Errors
/// [`DbError`].
pub async fn list_spend_limits(
    app: &App,
    user_id: &str,
    app_id: Option<&AppId>,
) -> Result<Vec<AppLimits>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::list_spend_limits(&mut connection, user_id, app_id).await
}
