//! Acts of an admin.

use super::model::{PackageAct, PurchaseAct};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Does it with a package if the caller is an admin who signed in lately.
///
/// # Errors
/// [`Refused`]; `Conflict` when the package is there already, or was bought and is to be deleted.
pub async fn act_on_package(
    app: &App,
    caller: &Caller,
    id: &str,
    act: &PackageAct,
    request: &RequestInfo,
) -> Result<(), Refused> {
    let mut connection = app.db.acquire().await?;
    let (fields, request) = (act.fields(), request.to_json());
    let outcome =
        store::act_on_package(&mut connection, caller, act.name(), id, &fields, &request).await?;
    Refused::unless_done(&outcome)
}

/// Does it about a purchase or a report if the caller is an admin who signed in lately.
///
/// # Errors
/// [`Refused`]; `Conflict` when there is nothing to do.
pub async fn act_on_purchase(
    app: &App,
    caller: &Caller,
    id: &str,
    act: PurchaseAct,
    request: &RequestInfo,
) -> Result<(), Refused> {
    let mut connection = app.db.acquire().await?;
    let request = request.to_json();
    let outcome = store::act_on_purchase(&mut connection, caller, act.name(), id, &request).await?;
    Refused::unless_done(&outcome)
}
