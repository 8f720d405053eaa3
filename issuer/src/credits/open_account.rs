//! The account of a new user.

use sqlx::PgConnection;

use super::store;
use crate::config::CreditsConfig;
use crate::db::DbError;

/// Opens the credit account of a new user and adds the signup bonus, in the transaction that
/// registers them. `bonus_digest` names the canonical address: each has the bonus once, ever.
///
/// # Errors
/// [`DbError`].
pub async fn open_account(
    connection: &mut PgConnection,
    user_id: &str,
    config: &CreditsConfig,
    bonus_digest: &[u8; 32],
) -> Result<(), DbError> {
    store::open_account(connection, user_id, config.signup_bonus, bonus_digest).await
}
