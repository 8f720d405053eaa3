//! `/api/v1/credits/holds`: place, capture, release.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::capture_hold::{self, Capture, CaptureHoldError};
use super::holder::find_holder;
use super::model::{Hold, HoldId, HoldStatus};
use super::place_hold::{self, PlaceHoldError, Reservation};
use super::release_hold::{self, ReleaseHoldError};
use crate::app::App;
use crate::credits::api::{
    Answered, Spending, TransactionView, check_spending, insufficient, no_account, replayed,
};
use crate::credits::model::Credits;
use crate::credits::payer::{Payer, service_ended};
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, IdempotencyKey, OptionalBody, UserOrService, UserToken};

/// Holds.
#[derive(Debug)]
pub struct HoldsApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(rename = "HoldRequest", rename_all = "camelCase", deny_unknown_fields)]
struct HoldRequest {
    /// How many credits.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
    amount: i64,
    /// The app they are spent in; visible ASCII characters.
    #[oai(validator(min_length = 1, max_length = 64))]
    app_id: String,
    /// What for.
    #[oai(validator(min_length = 1, max_length = 500))]
    description: Option<String>,
    /// After how many seconds it ends by itself; 300 when left out.
    #[oai(validator(minimum(value = "1"), maximum(value = "3600")))]
    expires_in_seconds: Option<i32>,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

#[derive(Debug, Default, Object)]
#[oai(
    rename = "CaptureRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct CaptureRequest {
    /// How many credits; all that is left when left out.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
    amount: Option<i64>,
    /// Whether the rest is given back.
    #[oai(rename = "final")]
    is_final: Option<bool>,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

#[derive(Debug, Default, Object)]
#[oai(
    rename = "ReleaseRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct ReleaseRequest {
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

/// Credits reserved for a request that is under way.
#[derive(Debug, Object)]
#[oai(rename = "Hold", rename_all = "camelCase")]
struct HoldView {
    id: String,
    /// How much was reserved.
    amount: i64,
    /// How much of it has been spent.
    captured: i64,
    status: HoldStatusView,
    app_id: String,
    /// When it ends by itself.
    expires_at: OffsetDateTime,
    created_at: OffsetDateTime,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            id: hold.id,
            amount: hold.amount.get(),
            captured: hold.captured.get(),
            status: hold.status.into(),
            app_id: hold.app_id,
            expires_at: hold.expires_at,
            created_at: hold.created_at,
        }
    }
}

#[derive(Debug, Enum)]
#[oai(rename = "HoldStatus", rename_all = "camelCase")]
enum HoldStatusView {
    Open,
    Captured,
    Released,
    Expired,
}

impl From<HoldStatus> for HoldStatusView {
    fn from(status: HoldStatus) -> Self {
        match status {
            HoldStatus::Open => Self::Open,
            HoldStatus::Captured => Self::Captured,
            HoldStatus::Released => Self::Released,
            HoldStatus::Expired => Self::Expired,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "HoldAnswer")]
struct HoldAnswer {
    hold: HoldView,
}

#[derive(Debug, Object)]
#[oai(rename = "CaptureAnswer")]
struct CaptureAnswer {
    hold: HoldView,
    transaction: TransactionView,
}

#[derive(Debug, ApiResponse)]
enum Placed {
    /// The credits are reserved, now or with an earlier request with the same key.
    #[oai(status = 201)]
    Created(
        Json<HoldAnswer>,
        /// `true` when this is the answer to an earlier request with the same key.
        #[oai(header = "Idempotent-Replayed")]
        Option<String>,
    ),
}

#[OpenApi(prefix_path = "/api/v1/credits/holds", tag = "Tag::Credits")]
impl HoldsApi {
    /// Place a hold
    ///
    /// Reserves credits, free ones first, so that a capture cannot fail for want of credits.
    /// A hold ends by itself. A service places it in its own app for the user whose token it shows;
    /// to the user it does not exist.
    #[oai(path = "/", method = "post", operation_id = "placeHold")]
    async fn place_hold(
        &self,
        caller: UserOrService,
        /// Of a service only: the access token of the user it acts for.
        #[oai(name = "X-User-Token")]
        user_token: UserToken,
        /// 1 to 255 visible ASCII characters, chosen by the client.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<HoldRequest>,
    ) -> Result<Placed, Refusal<Spending>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let reservation = body.0.check()?;
        let (app, app_id, key) = (&self.app, &reservation.app_id, key.as_deref());
        let payer = Payer::of(app, &caller, &user_token, app_id, key)?;
        let placed = place_hold::place_hold(app, &payer, &reservation, key).await?;
        let answer = HoldAnswer {
            hold: placed.hold.into(),
        };
        Ok(Placed::Created(Json(answer), replayed(placed.replayed)))
    }

    /// Capture a hold
    ///
    /// Spends of what was reserved, all that is left when no amount is given. Several captures
    /// are allowed, each with an idempotency key of its own.
    #[oai(path = "/:id/capture", method = "post", operation_id = "captureHold")]
    async fn capture_hold(
        &self,
        caller: UserOrService,
        /// The hold.
        id: Path<String>,
        /// 1 to 255 visible ASCII characters, chosen by the client; required here or in the body.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: OptionalBody<CaptureRequest>,
    ) -> Result<Answered<CaptureAnswer>, Refusal<Ending>> {
        let body = body.0.unwrap_or_default();
        let key = required_key(key, body.idempotency_key.clone())?;
        let (id, capture) = (hold_id(&id.0)?, body.check()?);
        let holder = self.holder(&caller, &id).await?;
        let captured = capture_hold::capture_hold(&self.app, &holder, &id, capture, &key).await?;
        let answer = CaptureAnswer {
            hold: captured.hold.into(),
            transaction: captured.transaction.into(),
        };
        Ok(Answered::Done(Json(answer), replayed(captured.replayed)))
    }

    /// Release a hold
    ///
    /// Gives back what is left of it.
    #[oai(path = "/:id/release", method = "post", operation_id = "releaseHold")]
    async fn release_hold(
        &self,
        caller: UserOrService,
        /// The hold.
        id: Path<String>,
        /// 1 to 255 visible ASCII characters, chosen by the client; required here or in the body.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: OptionalBody<ReleaseRequest>,
    ) -> Result<Answered<HoldAnswer>, Refusal<Ending>> {
        let key = required_key(key, body.0.unwrap_or_default().idempotency_key)?;
        let id = hold_id(&id.0)?;
        let holder = self.holder(&caller, &id).await?;
        let released = release_hold::release_hold(&self.app, &holder, &id, &key).await?;
        let answer = HoldAnswer {
            hold: released.hold.into(),
        };
        Ok(Answered::Done(Json(answer), replayed(released.replayed)))
    }
}

impl HoldsApi {
    /// A hold that is not the service's business does not exist for it.
    async fn holder(&self, caller: &UserOrService, id: &HoldId) -> Result<Payer, Problem> {
        match caller {
            UserOrService::User(caller) => Ok(Payer::user(&caller.user_id)),
            UserOrService::Service(service) => find_holder(&self.app, service, id)
                .await?
                .ok_or_else(|| Problem::new(ProblemCode::NotFound)),
        }
    }
}

impl HoldRequest {
    fn check(self) -> Result<Reservation, Problem> {
        let mut errors = Vec::new();
        match check_spending(self.amount, &self.app_id, &mut errors) {
            (Some(amount), Some(app_id)) => Ok(Reservation {
                amount,
                app_id,
                description: self.description,
                expires_in_secs: self.expires_in_seconds,
            }),
            _ => Err(Problem::validation(errors)),
        }
    }
}

impl CaptureRequest {
    fn check(&self) -> Result<Capture, Problem> {
        let refuse = || FieldError::new("amount", "must be a whole number from 1 to 1000000000000");
        let amount = match self.amount {
            None => None,
            Some(number) => {
                Some(Credits::amount(number).ok_or_else(|| Problem::validation(vec![refuse()]))?)
            }
        };
        Ok(Capture {
            amount,
            is_final: self.is_final.unwrap_or(false),
        })
    }
}

/// A retried capture without a key could spend twice.
fn required_key(header: IdempotencyKey, field: Option<String>) -> Result<String, Problem> {
    header.or_field(field)?.ok_or_else(|| {
        let message = "is required, here or in the Idempotency-Key header";
        Problem::validation(vec![FieldError::new("idempotencyKey", message)])
    })
}

fn hold_id(text: &str) -> Result<HoldId, Problem> {
    HoldId::parse(text).ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

/// Refusals of an operation that ends a hold.
#[derive(Debug)]
struct Ending;
impl Statuses for Ending {
    const EXTRA: &'static [u16] = &[401, 404, 409];
}

impl From<PlaceHoldError> for Problem {
    fn from(error: PlaceHoldError) -> Self {
        match error {
            PlaceHoldError::Insufficient { balance, replayed } => insufficient(balance, replayed),
            PlaceHoldError::LimitReached(reached) => reached.into(),
            PlaceHoldError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            PlaceHoldError::Frozen => Self::new(ProblemCode::AccountFrozen),
            PlaceHoldError::TooManyHolds => Self::with_detail(
                ProblemCode::Conflict,
                "As many holds are open as there may be: 1000.",
            ),
            PlaceHoldError::TooManyDeclines { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            PlaceHoldError::NoAccount => no_account(),
            PlaceHoldError::ServiceEnded => service_ended(),
            PlaceHoldError::Db(error) => error.into(),
        }
    }
}

impl From<CaptureHoldError> for Problem {
    fn from(error: CaptureHoldError) -> Self {
        match error {
            CaptureHoldError::NotFound => Self::new(ProblemCode::NotFound),
            CaptureHoldError::NotOpen => ended(),
            CaptureHoldError::ExceedsHold => {
                let message = "must not be more than is left of the hold";
                Self::validation(vec![FieldError::new("amount", message)])
            }
            CaptureHoldError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            CaptureHoldError::Db(error) => error.into(),
        }
    }
}

impl From<ReleaseHoldError> for Problem {
    fn from(error: ReleaseHoldError) -> Self {
        match error {
            ReleaseHoldError::NotFound => Self::new(ProblemCode::NotFound),
            ReleaseHoldError::NotOpen => ended(),
            ReleaseHoldError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            ReleaseHoldError::Db(error) => error.into(),
        }
    }
}

fn ended() -> Problem {
    Problem::with_detail(
        ProblemCode::Conflict,
        "The hold was captured, released, or has expired.",
    )
}
