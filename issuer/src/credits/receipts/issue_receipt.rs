//! Signing a receipt.

use shared_claims::{Receipt, UnixTime};
use time::OffsetDateTime;

use crate::app::App;
use crate::credits::list_transactions::{Filter, Start, list_transactions};
use crate::credits::model::{EntryKind, Transaction};
use crate::db::DbError;
use crate::signing_keys::Purpose;

/// Signs a receipt of a charge or capture of the user; `None` when there is no such transaction.
///
/// # Errors
/// [`IssueReceiptError`].
pub async fn issue_receipt(
    app: &App,
    user_id: &str,
    transaction_id: &str,
) -> Result<Option<String>, IssueReceiptError> {
    let signer = app.keys.signer(Purpose::AccessToken);
    let signer = signer.ok_or(IssueReceiptError::NoSigningKey)?;
    let Some(found) = find_usage(app, user_id, transaction_id).await? else {
        return Ok(None);
    };
    let receipt = Receipt {
        iss: app.config.tokens.issuer.clone(),
        sub: user_id.to_owned(),
        app_id: found.app_id.unwrap_or_default(),
        transaction_id: found.id,
        amount: found.amount.get().unsigned_abs(),
        description: found.description.unwrap_or_default(),
        spent_at: unix(found.created_at),
        iat: app.clock.unix(),
    };
    Ok(Some(signer.key.sign_receipt(&receipt)))
}

/// The id ends with the entry's number; the rest of it must be the account's.
async fn find_usage(app: &App, user_id: &str, id: &str) -> Result<Option<Transaction>, DbError> {
    let seq = id.rsplit_once('-').and_then(|(_, seq)| seq.parse().ok());
    let Some(above) = seq.and_then(|seq: i64| seq.checked_add(1)) else {
        return Ok(None);
    };
    let usage = Filter {
        kind: Some(EntryKind::Usage),
        ..Filter::default()
    };
    let page = list_transactions(app, user_id, 1, Start::After(above), &usage).await?;
    let newest = page.transactions.into_iter().next();
    Ok(newest.filter(|transaction| transaction.id == id))
}

fn unix(at: OffsetDateTime) -> UnixTime {
    UnixTime::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0))
}

/// Why no receipt was signed.
#[derive(Debug)]
pub enum IssueReceiptError {
    /// No key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for IssueReceiptError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
