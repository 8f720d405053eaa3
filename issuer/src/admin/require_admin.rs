//! Reads whose own statement does not ask who reads.

use sqlx::PgConnection;

use super::model::Refused;
use super::store;
use crate::http::Caller;

/// Demands that the caller is an admin at this moment.
///
/// # Errors
/// [`Refused`].
pub async fn require_admin(connection: &mut PgConnection, caller: &Caller) -> Result<(), Refused> {
    Refused::unless_admin(&store::standing(connection, caller).await?)
}
