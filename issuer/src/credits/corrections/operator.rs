//! The same from the command line, by a login that may migrate: the issuer's own may not.

use sqlx::PgConnection;

use super::correct::judge;
use super::model::{Corrected, Correction, CorrectionError};
use super::store;

/// Adjusts, or refunds.
///
/// # Errors
/// [`CorrectionError`].
pub async fn correct(
    connection: &mut PgConnection,
    user_id: &str,
    correction: &Correction,
) -> Result<Corrected, CorrectionError> {
    judge(store::operate_on_account(connection, user_id, correction).await?)
}
