//! Spending what was reserved.

use std::fmt;

use serde_json::json;

use super::model::{Hold, HoldId};
use super::store;
use crate::app::App;
use crate::credits::fingerprint::Fingerprint;
use crate::credits::model::{Credits, RequestKey, Transaction};
use crate::credits::payer::Payer;
use crate::db::DbError;

/// How much of a hold is spent.
#[derive(Debug, Clone, Copy)]
pub struct Capture {
    /// `None` for all that is left.
    pub amount: Option<Credits>,
    /// Whether the rest is given back.
    pub is_final: bool,
}

/// A capture that was posted, now or when its key was used before.
#[derive(Debug)]
pub struct Captured {
    /// The hold after it.
    pub hold: Hold,
    /// Its entry.
    pub transaction: Transaction,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Spends of a hold the caller placed. Several captures are allowed, each with a key of its own.
///
/// # Errors
/// [`CaptureHoldError`].
pub async fn capture_hold(
    app: &App,
    holder: &Payer,
    hold_id: &HoldId,
    capture: Capture,
    idempotency_key: &str,
) -> Result<Captured, CaptureHoldError> {
    let result = spend(app, holder, hold_id, capture, idempotency_key).await;
    let metrics = &app.metrics.credits;
    let outcome = match &result {
        Ok(captured) if captured.replayed => "replayed",
        Ok(captured) => {
            metrics.used(captured.transaction.amount.get());
            "done"
        }
        Err(CaptureHoldError::Db(_)) => "failed",
        Err(_) => "refused",
    };
    metrics.hold("capture", outcome);
    result
}

async fn spend(
    app: &App,
    holder: &Payer,
    hold_id: &HoldId,
    capture: Capture,
    idempotency_key: &str,
) -> Result<Captured, CaptureHoldError> {
    let key = RequestKey {
        principal: holder.principal.clone(),
        key: Some(idempotency_key),
        fingerprint: capture.fingerprint(hold_id),
    };
    let mut connection = app.db.acquire().await?;
    let config = &app.config.credits;
    let row = store::capture_hold(
        &mut connection,
        &holder.user_id,
        hold_id,
        capture,
        &key,
        config,
    )
    .await?;
    connection.finish();
    match row.outcome.as_str() {
        "done" => Ok(Captured {
            replayed: row.replayed,
            transaction: row.transaction()?,
            hold: row.into_hold()?,
        }),
        "key_reused" => Err(CaptureHoldError::KeyReused),
        "no_hold" | "no_account" => Err(CaptureHoldError::NotFound),
        "not_open" => Err(CaptureHoldError::NotOpen),
        "exceeds_hold" => Err(CaptureHoldError::ExceedsHold),
        _ => Err(DbError::Inconsistent("unknown outcome of a capture").into()),
    }
}

impl Capture {
    fn fingerprint(self, hold_id: &HoldId) -> Fingerprint {
        let path = format!("/api/v1/credits/holds/{}/capture", hold_id.as_str());
        let fields = [
            ("amount", json!(self.amount.map(Credits::get))),
            ("final", json!(self.is_final)),
        ];
        Fingerprint::of("capture_hold", &path, &fields)
    }
}

/// Why nothing was captured.
#[derive(Debug)]
pub enum CaptureHoldError {
    /// There is no such hold, or another principal placed it.
    NotFound,
    /// It was captured, released, or has expired.
    NotOpen,
    /// More than is left of it.
    ExceedsHold,
    /// The key belongs to another request.
    KeyReused,
    /// The database.
    Db(DbError),
}

impl From<DbError> for CaptureHoldError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for CaptureHoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such hold"),
            Self::NotOpen => f.write_str("the hold has ended"),
            Self::ExceedsHold => f.write_str("more than is left of the hold"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CaptureHoldError {}
