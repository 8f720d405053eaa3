//! The only SQL about holds.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::capture_hold::Capture;
use super::model::{Hold, HoldId, HoldStatus};
use crate::config::CreditsConfig;
use crate::credits::model::{AppId, Credits, EntryKind, RequestKey, Transaction, transaction_id};
use crate::credits::spend_limits::{LimitReached, Period};
use crate::credits::store::{known, positive_secs};
use crate::db::DbError;

/// A hold to be placed.
pub struct NewHold<'a> {
    pub id: &'a HoldId,
    pub amount: Credits,
    pub app_id: &'a AppId,
    pub description: Option<&'a str>,
    pub expires_in_secs: i32,
}

/// What became of an operation on a hold, the hold after it, and the entry of the operation.
pub struct HeldRow {
    pub outcome: String,
    pub replayed: bool,
    available: Option<i64>,
    retry_after_secs: Option<i32>,
    id: Option<String>,
    amount: Option<i64>,
    captured: Option<i64>,
    status: Option<String>,
    app_id: Option<String>,
    created_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    account_id: Option<i64>,
    seq: Option<i64>,
    charged: Option<i64>,
    balance_after: Option<i64>,
    description: Option<String>,
    charged_at: Option<OffsetDateTime>,
}

impl HeldRow {
    /// What could be spent, when that was too little.
    pub fn available(&self) -> Result<Credits, DbError> {
        known(self.available).map(Credits::of)
    }

    /// When refusals are written down again.
    pub fn retry_after_secs(&self) -> u64 {
        positive_secs(self.retry_after_secs)
    }

    /// The limit that forbids it.
    pub fn limit_reached(&self) -> Result<LimitReached, DbError> {
        let period = self.status.as_deref().and_then(Period::from_name);
        Ok(LimitReached {
            period: period.ok_or(DbError::Inconsistent("unknown period of a limit"))?,
            limit: known(self.amount)?,
            used: known(self.captured)?,
            resets_at: known(self.expires_at)?,
        })
    }

    /// The entry of a capture.
    pub fn transaction(&self) -> Result<Transaction, DbError> {
        let (account_id, seq) = (known(self.account_id)?, known(self.seq)?);
        Ok(Transaction {
            id: transaction_id(account_id, seq),
            seq,
            kind: EntryKind::Usage,
            amount: Credits::of(-known(self.charged)?),
            balance_after: Credits::of(known(self.balance_after)?),
            app_id: self.app_id.clone(),
            description: self.description.clone(),
            metadata: None,
            created_at: known(self.charged_at)?,
        })
    }

    /// The hold after the operation.
    pub fn into_hold(self) -> Result<Hold, DbError> {
        let status = known(self.status)?;
        Ok(Hold {
            id: known(self.id)?,
            amount: Credits::of(known(self.amount)?),
            captured: Credits::of(known(self.captured)?),
            status: HoldStatus::from_name(&status)
                .ok_or(DbError::Inconsistent("unknown status of a hold"))?,
            app_id: known(self.app_id)?,
            created_at: known(self.created_at)?,
            expires_at: known(self.expires_at)?,
        })
    }
}

/// Places a hold, in one call.
pub async fn place_hold(
    connection: &mut PgConnection,
    user_id: &str,
    hold: &NewHold<'_>,
    key: &RequestKey<'_>,
    config: &CreditsConfig,
) -> Result<HeldRow, DbError> {
    let row = sqlx::query_as!(
        HeldRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs,
                  id, amount, captured, status, app_id, created_at, expires_at,
                  account_id, seq, charged, balance_after, description, charged_at
             from credits.place_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"#,
        user_id,
        hold.id.as_str(),
        hold.amount.get(),
        hold.app_id.as_str(),
        hold.description,
        hold.expires_in_secs,
        key.principal.scope(),
        key.key,
        key.fingerprint.as_bytes(),
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Captures, in one call.
pub async fn capture_hold(
    connection: &mut PgConnection,
    user_id: &str,
    hold_id: &HoldId,
    capture: Capture,
    key: &RequestKey<'_>,
    config: &CreditsConfig,
) -> Result<HeldRow, DbError> {
    let row = sqlx::query_as!(
        HeldRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs,
                  id, amount, captured, status, app_id, created_at, expires_at,
                  account_id, seq, charged, balance_after, description, charged_at
             from credits.capture_hold($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        user_id,
        hold_id.as_str(),
        capture.amount.map(Credits::get),
        capture.is_final,
        key.principal.scope(),
        key.key,
        key.fingerprint.as_bytes(),
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Releases, in one call.
pub async fn release_hold(
    connection: &mut PgConnection,
    user_id: &str,
    hold_id: &HoldId,
    key: &RequestKey<'_>,
    config: &CreditsConfig,
) -> Result<HeldRow, DbError> {
    let row = sqlx::query_as!(
        HeldRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs,
                  id, amount, captured, status, app_id, created_at, expires_at,
                  account_id, seq, charged, balance_after, description, charged_at
             from credits.release_hold($1, $2, $3, $4, $5, $6, $7)"#,
        user_id,
        hold_id.as_str(),
        key.principal.scope(),
        key.key,
        key.fingerprint.as_bytes(),
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Whose credits a hold has set aside, for a service that may end it.
pub async fn find_hold_user(
    connection: &mut PgConnection,
    service_id: &str,
    hold_id: &HoldId,
) -> Result<Option<String>, DbError> {
    let user_id = sqlx::query_scalar!(
        "select credits.find_hold_user($1, $2)",
        service_id,
        hold_id.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(user_id)
}
