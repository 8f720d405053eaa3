//! Looking at apps and service credentials.

use super::model::{AppListing, ServiceListing};
use super::store;
use crate::admin::{Refused, require_admin};
use crate::app::App;
use crate::http::Caller;

/// All apps, or the one of this id.
///
/// # Errors
/// [`Refused`].
pub async fn list_apps(
    app: &App,
    caller: &Caller,
    app_id: Option<&str>,
) -> Result<Vec<AppListing>, Refused> {
    let mut connection = app.db.acquire().await?;
    require_admin(&mut connection, caller).await?;
    Ok(store::list_apps(&mut connection, app_id, MAX_LISTED.into()).await?)
}

/// All credentials, newest first.
///
/// # Errors
/// [`Refused`].
pub async fn list_credentials(app: &App, caller: &Caller) -> Result<Vec<ServiceListing>, Refused> {
    let mut connection = app.db.acquire().await?;
    let (standing, listed) = store::list_services(&mut connection, caller, MAX_LISTED).await?;
    Refused::unless_admin(&standing)?;
    Ok(listed)
}

/// More apps or services than one installation has.
pub(super) const MAX_LISTED: i32 = 1_000;
