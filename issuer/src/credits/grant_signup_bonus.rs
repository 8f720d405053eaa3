//! The signup bonus that waited for the proof of an address.

use sqlx::PgConnection;

use super::store;
use crate::config::CreditsConfig;
use crate::db::DbError;

/// Adds the signup bonus unless the account or the address had it, in the transaction that
/// proves the address.
///
/// # Errors
/// [`DbError`].
pub async fn grant_signup_bonus(
    connection: &mut PgConnection,
    user_id: &str,
    config: &CreditsConfig,
    bonus_digest: &[u8; 32],
) -> Result<(), DbError> {
    store::grant_signup_bonus(connection, user_id, config.signup_bonus, bonus_digest).await
}
