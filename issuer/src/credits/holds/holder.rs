//! Who ends a hold: the user who placed it, or a service of its app.

use super::model::HoldId;
use super::store;
use crate::app::App;
use crate::apps::{Scope, Service};
use crate::credits::model::Principal;
use crate::db::DbError;

/// Whose credits are meant, and who asks.
#[derive(Debug)]
pub struct Holder {
    /// The user whose credits are set aside.
    pub user_id: String,
    /// Who asks.
    pub principal: Principal,
}

impl Holder {
    /// A signed-in user.
    pub fn user(user_id: &str) -> Self {
        Self {
            user_id: user_id.to_owned(),
            principal: Principal::user(user_id),
        }
    }

    /// A service, for a hold in its app; `None` when it has no such hold or not the scope.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn service(
        app: &App,
        service: &Service,
        hold_id: &HoldId,
    ) -> Result<Option<Self>, DbError> {
        if !service.may(Scope::CreditsHolds) {
            return Ok(None);
        }
        let mut connection = app.db.acquire().await?;
        let user_id = store::find_hold_user(&mut connection, &service.id, hold_id).await?;
        Ok(user_id.map(|user_id| Self {
            user_id,
            principal: Principal::service(&service.id),
        }))
    }
}
