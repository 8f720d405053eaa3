//! Spending.

use std::fmt;

use serde_json::{Value, json};

use super::batcher::ChargeRequest;
use super::fingerprint::Fingerprint;
use super::metadata::Metadata;
use super::model::{AppId, Credits, Transaction};
use super::payer::{self, Payer};
use super::spend_limits::LimitReached;
use crate::app::App;
use crate::db::DbError;

/// What is spent, where and what for.
#[derive(Debug)]
pub struct Charge {
    /// How much.
    pub amount: Credits,
    /// In which program.
    pub app_id: AppId,
    /// What for, in the program's words.
    pub description: String,
    /// What the program wants to find again.
    pub metadata: Option<Metadata>,
}

/// A charge that was posted, now or when its key was used before.
#[derive(Debug)]
pub struct Charged {
    /// Its entry.
    pub transaction: Transaction,
    /// What could be spent after it.
    pub balance: Credits,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Spends credits of the payer, free ones first.
///
/// # Errors
/// [`UseCreditsError`].
pub async fn use_credits(
    app: &App,
    payer: Payer,
    charge: Charge,
    idempotency_key: Option<String>,
) -> Result<Charged, UseCreditsError> {
    let amount = charge.amount.get();
    let result = post(app, payer, charge, idempotency_key).await;
    let metrics = &app.metrics.credits;
    metrics.charge(match &result {
        Ok(charged) if charged.replayed => "replayed",
        Ok(_) => {
            metrics.used(amount);
            "posted"
        }
        Err(error) => error.name(),
    });
    result
}

async fn post(
    app: &App,
    payer: Payer,
    charge: Charge,
    idempotency_key: Option<String>,
) -> Result<Charged, UseCreditsError> {
    let request = ChargeRequest {
        user_id: payer.user_id,
        principal: payer.principal,
        key: idempotency_key,
        fingerprint: charge.fingerprint(),
        charge,
    };
    let row = app.charges.charge(request).await?;
    match row.outcome.as_str() {
        "posted" => Ok(Charged {
            balance: row.available()?,
            replayed: row.replayed,
            transaction: row.into_transaction()?,
        }),
        "insufficient" => Err(UseCreditsError::Insufficient {
            balance: row.available()?,
            replayed: row.replayed,
        }),
        "limit_reached" => Err(UseCreditsError::LimitReached(row.limit_reached()?)),
        "key_reused" => Err(UseCreditsError::KeyReused),
        "frozen" => Err(UseCreditsError::Frozen),
        "rate_limited" => Err(UseCreditsError::TooManyDeclines {
            retry_after_secs: row.retry_after_secs(),
        }),
        "no_account" => Err(UseCreditsError::NoAccount),
        _ => Err(DbError::Inconsistent("unknown outcome of a charge").into()),
    }
}

impl Charge {
    fn fingerprint(&self) -> Fingerprint {
        let fields = [
            ("amount", json!(self.amount.get())),
            ("appId", json!(self.app_id.as_str())),
            ("description", json!(self.description)),
            (
                "metadata",
                self.metadata
                    .as_ref()
                    .map_or(Value::Null, |m| m.as_json().clone()),
            ),
        ];
        Fingerprint::of("use_credits", "/api/v1/credits/use", &fields)
    }
}

/// Why nothing was spent.
#[derive(Debug)]
pub enum UseCreditsError {
    /// Less than the amount can be spent.
    Insufficient {
        /// What can be.
        balance: Credits,
        /// Whether this is the answer to an earlier request with the same key.
        replayed: bool,
    },
    /// More than the app may spend today or this month.
    LimitReached(LimitReached),
    /// The key belongs to another request.
    KeyReused,
    /// Nothing may be spent until a dispute is settled.
    Frozen,
    /// Refused so often lately that refusals are no longer written down.
    TooManyDeclines {
        /// When they are again.
        retry_after_secs: u64,
    },
    /// The user has no account.
    NoAccount,
    /// The service that asks has lost its credential meanwhile.
    ServiceEnded,
    /// The database.
    Db(DbError),
}

impl UseCreditsError {
    /// As the metrics name it.
    fn name(&self) -> &'static str {
        match self {
            Self::Insufficient { .. } => "insufficient",
            Self::LimitReached(_) => "limit_reached",
            Self::KeyReused => "key_reused",
            Self::Frozen => "frozen",
            Self::TooManyDeclines { .. } => "rate_limited",
            Self::NoAccount => "no_account",
            Self::ServiceEnded => "service_ended",
            Self::Db(_) => "failed",
        }
    }
}

impl From<DbError> for UseCreditsError {
    fn from(error: DbError) -> Self {
        if payer::is_service_ended(&error) {
            return Self::ServiceEnded;
        }
        Self::Db(error)
    }
}

impl fmt::Display for UseCreditsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { balance, .. } => {
                write!(f, "not enough credits: {} can be spent", balance.get())
            }
            Self::LimitReached(_) => f.write_str("the app's spend limit is reached"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Frozen => f.write_str("the account is frozen"),
            Self::TooManyDeclines { .. } => f.write_str("too many declined requests"),
            Self::NoAccount => f.write_str("the user has no credit account"),
            Self::ServiceEnded => f.write_str("the service's credential has ended"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UseCreditsError {}
