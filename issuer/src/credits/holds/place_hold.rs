//! Reserving credits.

use std::fmt;

use serde_json::json;

use super::model::{Hold, HoldId};
use super::store::{self, NewHold};
use crate::app::App;
use crate::credits::fingerprint::Fingerprint;
use crate::credits::model::{AppId, Credits, RequestKey};
use crate::credits::payer::{self, Payer};
use crate::credits::spend_limits::LimitReached;
use crate::db::DbError;

/// What is reserved, where, what for and for how long.
#[derive(Debug)]
pub struct Reservation {
    /// How much.
    pub amount: Credits,
    /// In which program.
    pub app_id: AppId,
    /// What for, in the program's words.
    pub description: Option<String>,
    /// After how long it ends by itself; `None` for the usual time.
    pub expires_in_secs: Option<i32>,
}

/// A hold that was placed, now or when its key was used before.
#[derive(Debug)]
pub struct Placed {
    /// The hold as it was placed.
    pub hold: Hold,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Sets credits of the payer aside, free ones first, until they are captured or released.
///
/// # Errors
/// [`PlaceHoldError`].
pub async fn place_hold(
    app: &App,
    payer: &Payer,
    reservation: &Reservation,
    idempotency_key: Option<&str>,
) -> Result<Placed, PlaceHoldError> {
    let result = place(app, payer, reservation, idempotency_key).await;
    let outcome = match &result {
        Ok(placed) if placed.replayed => "replayed",
        Ok(_) => "done",
        Err(PlaceHoldError::Insufficient { .. }) => "insufficient",
        Err(PlaceHoldError::Db(_)) => "failed",
        Err(_) => "refused",
    };
    app.metrics.credits.hold("place", outcome);
    result
}

async fn place(
    app: &App,
    payer: &Payer,
    reservation: &Reservation,
    idempotency_key: Option<&str>,
) -> Result<Placed, PlaceHoldError> {
    let id = HoldId::parse(&app.entropy.unique_id()).expect("unique ids have the form of hold ids");
    let new = NewHold {
        id: &id,
        amount: reservation.amount,
        app_id: &reservation.app_id,
        description: reservation.description.as_deref(),
        expires_in_secs: reservation.expires_in_secs.unwrap_or(DEFAULT_TTL_SECS),
    };
    let key = RequestKey {
        principal: payer.principal.clone(),
        key: idempotency_key,
        fingerprint: reservation.fingerprint(),
    };
    let mut connection = app.db.acquire().await?;
    let user_id = &payer.user_id;
    let row = store::place_hold(&mut connection, user_id, &new, &key, &app.config.credits).await?;
    connection.finish();
    match row.outcome.as_str() {
        "done" => Ok(Placed {
            replayed: row.replayed,
            hold: row.into_hold()?,
        }),
        "insufficient" => Err(PlaceHoldError::Insufficient {
            balance: row.available()?,
            replayed: row.replayed,
        }),
        "limit_reached" => Err(PlaceHoldError::LimitReached(row.limit_reached()?)),
        "key_reused" => Err(PlaceHoldError::KeyReused),
        "frozen" => Err(PlaceHoldError::Frozen),
        "too_many_holds" => Err(PlaceHoldError::TooManyHolds),
        "rate_limited" => Err(PlaceHoldError::TooManyDeclines {
            retry_after_secs: row.retry_after_secs(),
        }),
        "no_account" => Err(PlaceHoldError::NoAccount),
        _ => Err(DbError::Inconsistent("unknown outcome of placing a hold").into()),
    }
}

impl Reservation {
    fn fingerprint(&self) -> Fingerprint {
        let fields = [
            ("amount", json!(self.amount.get())),
            ("appId", json!(self.app_id.as_str())),
            ("description", json!(self.description)),
            ("expiresInSeconds", json!(self.expires_in_secs)),
        ];
        Fingerprint::of("place_hold", "/api/v1/credits/holds", &fields)
    }
}

/// Longer than almost any request, short enough that a program that died does no harm.
const DEFAULT_TTL_SECS: i32 = 300;

/// Why nothing was reserved.
#[derive(Debug)]
pub enum PlaceHoldError {
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
    /// As many holds are open as there may be.
    TooManyHolds,
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

impl From<DbError> for PlaceHoldError {
    fn from(error: DbError) -> Self {
        if payer::is_service_ended(&error) {
            return Self::ServiceEnded;
        }
        Self::Db(error)
    }
}

impl fmt::Display for PlaceHoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { balance, .. } => {
                write!(f, "not enough credits: {} can be spent", balance.get())
            }
            Self::LimitReached(_) => f.write_str("the app's spend limit is reached"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Frozen => f.write_str("the account is frozen"),
            Self::TooManyHolds => f.write_str("too many holds are open"),
            Self::TooManyDeclines { .. } => f.write_str("too many declined requests"),
            Self::NoAccount => f.write_str("the user has no credit account"),
            Self::ServiceEnded => f.write_str("the service's credential has ended"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlaceHoldError {}
