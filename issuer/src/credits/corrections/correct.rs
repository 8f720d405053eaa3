//! Putting an account right.

use super::model::{Corrected, Correction, CorrectionError};
use super::store::{self, CorrectionRow};
use crate::admin::Refused;
use crate::app::App;
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};

/// Adjusts, or refunds, if the caller is an admin who signed in lately.
///
/// # Errors
/// [`CorrectionError`].
pub async fn correct(
    app: &App,
    admin: &Caller,
    user_id: &str,
    correction: &Correction,
    request: &RequestInfo,
) -> Result<Corrected, CorrectionError> {
    let request = request.to_json();
    let row = app
        .db
        .retry(correction.name(), || async {
            let mut connection = app.db.acquire().await?;
            store::act_on_account(&mut connection, admin, user_id, correction, &request).await
        })
        .await?;
    judge(row)
}

/// Reads what became of it.
pub fn judge(row: CorrectionRow) -> Result<Corrected, CorrectionError> {
    match row.outcome.as_str() {
        "done" => Ok(Corrected {
            balance: row.available()?,
            replayed: row.replayed,
            transaction: row.into_transaction()?,
        }),
        "insufficient" => Err(CorrectionError::Insufficient {
            balance: row.available()?,
        }),
        "nothing_left" => Err(CorrectionError::NothingLeft),
        "exceeds_charge" => Err(CorrectionError::ExceedsCharge {
            left: row.left_to_refund.unwrap_or(0),
        }),
        "full" => Err(CorrectionError::AccountFull),
        "key_reused" => Err(CorrectionError::KeyReused),
        outcome => match Refused::unless_done(outcome) {
            Err(refused) => Err(CorrectionError::Refused(refused)),
            Ok(()) => Err(DbError::Inconsistent("done without an entry").into()),
        },
    }
}
