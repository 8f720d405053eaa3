//! Looking at packages, purchases and reports.

use super::model::{EventListing, PackageListing, PurchaseListing};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::Caller;

/// All packages, or the one of this id.
///
/// # Errors
/// [`Refused`].
pub async fn list_packages(
    app: &App,
    caller: &Caller,
    id: Option<&str>,
) -> Result<Vec<PackageListing>, Refused> {
    let mut connection = app.db.acquire().await?;
    Refused::unless_admin(&store::standing(&mut connection, caller).await?)?;
    Ok(store::list_packages(&mut connection, id, MAX_LISTED.into()).await?)
}

/// Purchases of everybody or of one user, newest first.
///
/// # Errors
/// [`Refused`].
pub async fn list_purchases(
    app: &App,
    caller: &Caller,
    user_id: Option<&str>,
    only: Option<&str>,
) -> Result<Vec<PurchaseListing>, Refused> {
    let mut connection = app.db.acquire().await?;
    let (standing, listed) =
        store::list_purchases(&mut connection, caller, user_id, only, MAX_LISTED).await?;
    Refused::unless_admin(&standing)?;
    Ok(listed)
}

/// Reports of Stripe, newest first.
///
/// # Errors
/// [`Refused`].
pub async fn list_events(
    app: &App,
    caller: &Caller,
    state: Option<&str>,
    purchase_id: Option<&str>,
) -> Result<Vec<EventListing>, Refused> {
    let mut connection = app.db.acquire().await?;
    let (standing, listed) =
        store::list_events(&mut connection, caller, state, purchase_id, MAX_LISTED).await?;
    Refused::unless_admin(&standing)?;
    Ok(listed)
}

/// What somebody looks through at once; a filter finds the rest.
pub(super) const MAX_LISTED: i32 = 500;
