//! Who ends a hold: whoever placed it, or a service of its app for what a user placed.

use super::model::HoldId;
use super::store;
use crate::app::App;
use crate::apps::{Scope, Service};
use crate::credits::model::Principal;
use crate::credits::payer::Payer;
use crate::db::DbError;

/// A service, for a hold it may end; `None` when it has no such hold or not the scope.
///
/// # Errors
/// [`DbError`].
pub async fn find_holder(
    app: &App,
    service: &Service,
    hold_id: &HoldId,
) -> Result<Option<Payer>, DbError> {
    if !service.may(Scope::CreditsHold) {
        return Ok(None);
    }
    let mut connection = app.db.acquire().await?;
    let user_id = store::find_hold_user(&mut connection, &service.id, hold_id).await?;
    Ok(user_id.map(|user_id| Payer {
        user_id,
        principal: Principal::service(&service.id),
    }))
}
