//! Looking at one person's account.

use super::model::{Refused, UserListing};
use super::store;
use crate::app::App;
use crate::http::Caller;

/// The user of this id.
///
/// # Errors
/// [`Refused`].
pub async fn load_user(app: &App, caller: &Caller, user_id: &str) -> Result<UserListing, Refused> {
    let mut connection = app.db.acquire().await?;
    let (standing, user) = store::load_user(&mut connection, caller, user_id).await?;
    Refused::unless_admin(&standing)?;
    user.ok_or(Refused::NotFound)
}
