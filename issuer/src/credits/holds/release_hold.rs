//! Giving back what was reserved.

use std::fmt;

use super::model::{Hold, HoldId};
use super::store;
use crate::app::App;
use crate::credits::fingerprint::Fingerprint;
use crate::credits::model::RequestKey;
use crate::credits::payer::Payer;
use crate::db::DbError;

/// A hold that was released, now or when its key was used before.
#[derive(Debug)]
pub struct Released {
    /// The hold after it.
    pub hold: Hold,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Gives back what is left of a hold the caller placed.
///
/// # Errors
/// [`ReleaseHoldError`].
pub async fn release_hold(
    app: &App,
    holder: &Payer,
    hold_id: &HoldId,
    idempotency_key: &str,
) -> Result<Released, ReleaseHoldError> {
    let result = give_back(app, holder, hold_id, idempotency_key).await;
    let outcome = match &result {
        Ok(released) if released.replayed => "replayed",
        Ok(_) => "done",
        Err(ReleaseHoldError::Db(_)) => "failed",
        Err(_) => "refused",
    };
    app.metrics.credits.hold("release", outcome);
    result
}

async fn give_back(
    app: &App,
    holder: &Payer,
    hold_id: &HoldId,
    idempotency_key: &str,
) -> Result<Released, ReleaseHoldError> {
    let path = format!("/api/v1/credits/holds/{}/release", hold_id.as_str());
    let key = RequestKey {
        principal: holder.principal.clone(),
        key: Some(idempotency_key),
        fingerprint: Fingerprint::of("release_hold", &path, &[]),
    };
    let mut connection = app.db.acquire().await?;
    let config = &app.config.credits;
    let row = store::release_hold(&mut connection, &holder.user_id, hold_id, &key, config).await?;
    connection.finish();
    match row.outcome.as_str() {
        "done" => Ok(Released {
            replayed: row.replayed,
            hold: row.into_hold()?,
        }),
        "key_reused" => Err(ReleaseHoldError::KeyReused),
        "no_hold" | "no_account" => Err(ReleaseHoldError::NotFound),
        "not_open" => Err(ReleaseHoldError::NotOpen),
        _ => Err(DbError::Inconsistent("unknown outcome of a release").into()),
    }
}

/// Why nothing was released.
#[derive(Debug)]
pub enum ReleaseHoldError {
    /// There is no such hold, or another principal placed it.
    NotFound,
    /// It was captured, released, or has expired.
    NotOpen,
    /// The key belongs to another request.
    KeyReused,
    /// The database.
    Db(DbError),
}

impl From<DbError> for ReleaseHoldError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for ReleaseHoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such hold"),
            Self::NotOpen => f.write_str("the hold has ended"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReleaseHoldError {}
