//! Name and language.

use super::store;
use crate::accounts::User;
use crate::app::App;
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};
use crate::mail::Locale;

/// What is to change; the rest stays.
#[derive(Debug)]
pub struct Changes {
    /// What one wants to be called.
    pub name: Option<String>,
    /// The language of mail.
    pub locale: Option<Locale>,
}

/// Changes the profile; `None` once the session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn update_profile(
    app: &App,
    caller: &Caller,
    changes: &Changes,
    request: &RequestInfo,
) -> Result<Option<User>, DbError> {
    let mut connection = app.db.acquire().await?;
    store::update_profile(&mut connection, caller, changes, &request.to_json()).await
}
