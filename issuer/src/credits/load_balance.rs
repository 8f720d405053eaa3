//! What the caller holds.

use super::model::Balance;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// Writes down what time has brought and says exactly what could be spent; `None` when the
/// user has no account.
///
/// # Errors
/// [`DbError`].
pub async fn load_balance(app: &App, user_id: &str) -> Result<Option<Balance>, DbError> {
    let mut connection = app.db.acquire().await?;
    let balance = store::find_balance(&mut connection, user_id, &app.config.credits).await?;
    connection.finish();
    Ok(balance)
}
