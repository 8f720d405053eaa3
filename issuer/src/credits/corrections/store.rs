//! The only SQL about corrections.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::Correction;
use crate::credits::model::{Credits, EntryKind, Transaction, transaction_id};
use crate::credits::store::known;
use crate::db::DbError;
use crate::http::Caller;

/// What became of a correction, and its entry.
pub struct CorrectionRow {
    pub outcome: String,
    pub replayed: bool,
    available: Option<i64>,
    pub left_to_refund: Option<i64>,
    account_id: Option<i64>,
    seq: Option<i64>,
    kind: Option<String>,
    amount: Option<i64>,
    balance_after: Option<i64>,
    app_id: Option<String>,
    description: Option<String>,
    metadata: Option<Value>,
    created_at: Option<OffsetDateTime>,
}

impl CorrectionRow {
    /// What could be spent after it, or taken when that was too little.
    pub fn available(&self) -> Result<Credits, DbError> {
        known(self.available).map(Credits::of)
    }

    /// Its entry.
    pub fn into_transaction(self) -> Result<Transaction, DbError> {
        let (account_id, seq) = (known(self.account_id)?, known(self.seq)?);
        Ok(Transaction {
            id: transaction_id(account_id, seq),
            seq,
            kind: EntryKind::from_name(&known(self.kind)?)
                .ok_or(DbError::Inconsistent("unknown kind of an entry"))?,
            amount: Credits::of(known(self.amount)?),
            balance_after: Credits::of(known(self.balance_after)?),
            app_id: self.app_id,
            description: self.description,
            metadata: self.metadata,
            created_at: known(self.created_at)?,
        })
    }
}

/// A correction by an admin, in one call.
pub async fn act_on_account(
    connection: &mut PgConnection,
    admin: &Caller,
    user_id: &str,
    correction: &Correction,
    request: &Value,
) -> Result<CorrectionRow, DbError> {
    let fingerprint = correction.fingerprint(user_id);
    let row = sqlx::query_as!(
        CorrectionRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, left_to_refund, account_id, seq, kind,
                  amount, balance_after, app_id, description, metadata, created_at
             from credits.act_on_account($1, $2, $3, $4, $5, $6, $7)"#,
        admin.user_id,
        admin.session_id,
        correction.name(),
        user_id,
        correction.arguments(),
        fingerprint.as_bytes(),
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// A correction by the operator, in one call.
pub async fn operate_on_account(
    connection: &mut PgConnection,
    user_id: &str,
    correction: &Correction,
) -> Result<CorrectionRow, DbError> {
    let fingerprint = correction.fingerprint(user_id);
    let row = sqlx::query_as!(
        CorrectionRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, left_to_refund, account_id, seq, kind,
                  amount, balance_after, app_id, description, metadata, created_at
             from credits.operate_on_account($1, $2, $3, $4)"#,
        correction.name(),
        user_id,
        correction.arguments(),
        fingerprint.as_bytes(),
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}
