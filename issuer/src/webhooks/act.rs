//! Replaying deliveries, and sending a test.

use super::model::{Acted, WebhookAct};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Does it if the caller is an admin who signed in lately.
///
/// # Errors
/// [`Refused`]; `Conflict` when the app does not listen, or the delivery is being sent right now.
pub async fn act(
    app: &App,
    caller: &Caller,
    act: &WebhookAct,
    request: &RequestInfo,
) -> Result<Acted, Refused> {
    let mut connection = app.db.acquire().await?;
    let acted = store::act_on_webhooks(&mut connection, caller, act, &request.to_json()).await?;
    Refused::unless_done(&acted.outcome)?;
    Ok(acted)
}
