//! `/api/v1/credits/checkout`, `/api/v1/webhooks/stripe`.

use std::sync::Arc;

use poem_openapi::param::Header;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::check_out::{self, CheckOutError, CheckedOut};
use super::model::Wish;
use super::receive_event::{ReceiveError, receive_event};
use crate::app::App;
use crate::credits::{Answered, no_account, replayed};
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, IdempotencyKey, RawBody};

/// Buying credits.
#[derive(Debug)]
pub struct PurchasesApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "CheckoutRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct CheckoutRequest {
    /// What to buy.
    #[oai(validator(min_length = 1, max_length = 64))]
    package_id: String,
    /// Where the user comes back to after paying; `{CHECKOUT_SESSION_ID}` in it is filled in. Its
    /// origin is a return origin of an app, in `CORS_ORIGINS`, or that of `BASE_URL`.
    #[oai(validator(min_length = 1, max_length = 2048))]
    success_url: String,
    /// Where the user comes back to without paying; the same holds.
    #[oai(validator(min_length = 1, max_length = 2048))]
    cancel_url: String,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "Checkout", rename_all = "camelCase")]
struct CheckoutView {
    /// Where the user pays. Good for an hour.
    url: String,
    /// The purchase, as `GET /credits/purchases` lists it.
    purchase_id: String,
}

impl From<CheckedOut> for CheckoutView {
    fn from(checked_out: CheckedOut) -> Self {
        Self {
            url: checked_out.url,
            purchase_id: checked_out.purchase_id,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "Received")]
struct Received {
    /// It is stored and will be applied.
    received: bool,
}

#[derive(Debug, ApiResponse)]
enum Stored {
    /// Stored, now or when it came before.
    #[oai(status = 200)]
    Stored(Json<Received>),
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Credits")]
impl PurchasesApi {
    /// Begin a purchase
    ///
    /// Answers the page where the user pays. The credits are there as soon as Stripe reports the
    /// payment, usually within seconds; the purchase says so.
    #[oai(path = "/credits/checkout", method = "post", operation_id = "checkOut")]
    async fn check_out(
        &self,
        caller: Caller,
        /// 1 to 255 visible ASCII characters, chosen by the client.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<CheckoutRequest>,
    ) -> Result<Answered<CheckoutView>, Refusal<Buying>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let origins = check_out::return_origins(&self.app).await?;
        let wish = body.0.check(&origins)?;
        let user_id = &caller.user_id;
        let out = check_out::check_out(&self.app, user_id, &wish, key.as_deref()).await?;
        let replay = replayed(out.replayed);
        Ok(Answered::Done(Json(out.into()), replay))
    }

    /// Take in a report of Stripe
    ///
    /// For Stripe alone: the signature is over the raw body, and a report is good for five minutes.
    #[oai(
        path = "/webhooks/stripe",
        method = "post",
        operation_id = "receiveStripeEvent"
    )]
    async fn receive_stripe_event(
        &self,
        /// `t=…,v1=…`
        #[oai(name = "Stripe-Signature")]
        signature: Header<Option<String>>,
        body: RawBody,
    ) -> Result<Stored, Refusal<Reporting>> {
        let signature = signature.0.unwrap_or_default();
        receive_event(&self.app, &signature, &body.0).await?;
        Ok(Stored::Stored(Json(Received { received: true })))
    }
}

impl CheckoutRequest {
    fn check(self, origins: &[String]) -> Result<Wish, Problem> {
        match check_out::read_urls(&self.success_url, &self.cancel_url, origins) {
            Ok((success_url, cancel_url)) => Ok(Wish {
                package_id: self.package_id,
                success_url,
                cancel_url,
            }),
            Err(fields) => {
                let error = |field| FieldError::new(field, RETURN_URL);
                Err(Problem::validation(fields.into_iter().map(error).collect()))
            }
        }
    }
}

/// Refusals of a purchase.
#[derive(Debug)]
pub struct Buying;
impl Statuses for Buying {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

/// Refusals of a report.
#[derive(Debug)]
pub struct Reporting;
impl Statuses for Reporting {
    const EXTRA: &'static [u16] = &[403, 404];
}

impl From<CheckOutError> for Problem {
    fn from(error: CheckOutError) -> Self {
        match error {
            CheckOutError::NotSetUp => Self::with_detail(
                ProblemCode::Unavailable,
                "Purchases are not set up on this issuer.",
            ),
            CheckOutError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            CheckOutError::Frozen => Self::new(ProblemCode::AccountFrozen),
            CheckOutError::NoPackage => {
                Self::with_detail(ProblemCode::NotFound, "There is no such package on offer.")
            }
            CheckOutError::NoAccount => no_account(),
            CheckOutError::TooMany { retry_after_secs } => Self::rate_limited(retry_after_secs),
            CheckOutError::Over => Self::with_detail(
                ProblemCode::Conflict,
                "The purchase of this idempotency key is over; use a new key for another one.",
            ),
            CheckOutError::Unavailable => Self::with_detail(
                ProblemCode::Unavailable,
                "Payments cannot be taken at this moment.",
            ),
            CheckOutError::Db(error) => error.into(),
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::NotSetUp => Self::new(ProblemCode::NotFound),
            ReceiveError::NotGenuine => Self::with_detail(
                ProblemCode::Forbidden,
                "The signature is missing, wrong or too old.",
            ),
            ReceiveError::NoReport => Self::with_detail(
                ProblemCode::MalformedJson,
                "The body is not an event of Stripe.",
            ),
            ReceiveError::Db(error) => error.into(),
        }
    }
}

const RETURN_URL: &str = "must be an absolute URL whose origin is a return origin of an app, in CORS_ORIGINS, or this issuer's";
