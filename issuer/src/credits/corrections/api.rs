//! `/api/v1/admin/users/{id}/credits`: adjust, refund.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;

use super::correct;
use super::model::{Corrected, Correction, CorrectionError, TransactionId};
use crate::admin;
use crate::app::App;
use crate::credits::api::{Answered, TransactionView, replayed};
use crate::credits::model::Credits;
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, Statuses};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Body, IdempotencyKey, RequestInfo};

/// Putting accounts right, for admins.
#[derive(Debug)]
pub struct CorrectionsApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "AdjustmentRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct AdjustmentRequest {
    /// How many credits to add; negative to take them. Not 0.
    #[oai(validator(minimum(value = "-1000000000000"), maximum(value = "1000000000000")))]
    amount: i64,
    /// Why; the user can read it.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
    /// When what is added lapses; never when left out.
    expires_at: Option<OffsetDateTime>,
    /// The same as the header `Idempotency-Key`; required here or there.
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "UsageRefundRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct RefundRequest {
    /// The charge or capture, as `GET /credits/transactions` shows it.
    #[oai(validator(min_length = 1, max_length = 64))]
    transaction_id: String,
    /// How many credits; all that is left of the charge when left out.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
    amount: Option<i64>,
    /// Why; the user can read it.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
    /// The same as the header `Idempotency-Key`.
    idempotency_key: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "CorrectionAnswer")]
struct CorrectionAnswer {
    transaction: TransactionView,
    /// What the user can spend now.
    balance: i64,
}

#[OpenApi(prefix_path = "/api/v1/admin/users", tag = "Tag::Admin")]
impl CorrectionsApi {
    /// Adjust an account
    ///
    /// Adds credits, or takes them in the order of spending. What is added with `expiresAt` is spent
    /// early, like a gift; without, late, like a refund. Needs an idempotency key.
    #[oai(
        path = "/:id/credits/adjust",
        method = "post",
        operation_id = "adjustCredits"
    )]
    async fn adjust_credits(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        /// 1 to 255 visible ASCII characters, chosen by the client; required here or in the body.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<AdjustmentRequest>,
    ) -> Result<Answered<CorrectionAnswer>, Refusal<Correcting>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let correction = body.0.check(key, self.app.clock.now())?;
        self.correct(&caller, &id.0, &correction, &request).await
    }

    /// Refund usage
    ///
    /// Gives back of a charge or capture, at most what was charged, into the lots it came from.
    #[oai(
        path = "/:id/credits/refund",
        method = "post",
        operation_id = "refundUsage"
    )]
    async fn refund_usage(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        /// 1 to 255 visible ASCII characters, chosen by the client.
        #[oai(name = "Idempotency-Key")]
        key: IdempotencyKey,
        body: Body<RefundRequest>,
    ) -> Result<Answered<CorrectionAnswer>, Refusal<Correcting>> {
        let key = key.or_field(body.0.idempotency_key.clone())?;
        let correction = body.0.check(key)?;
        self.correct(&caller, &id.0, &correction, &request).await
    }
}

impl CorrectionsApi {
    async fn correct(
        &self,
        caller: &AdminCaller,
        id: &str,
        correction: &Correction,
        request: &RequestInfo,
    ) -> Result<Answered<CorrectionAnswer>, Refusal<Correcting>> {
        let id = admin::user_id(id)?;
        let corrected = correct::correct(&self.app, &caller.0, id, correction, request).await?;
        Ok(answer(corrected))
    }
}

fn answer(corrected: Corrected) -> Answered<CorrectionAnswer> {
    let answer = CorrectionAnswer {
        transaction: corrected.transaction.into(),
        balance: corrected.balance.get(),
    };
    Answered::Done(Json(answer), replayed(corrected.replayed))
}

impl AdjustmentRequest {
    fn check(self, key: Option<String>, now: OffsetDateTime) -> Result<Correction, Problem> {
        let mut errors = Vec::new();
        if Credits::amount(self.amount.saturating_abs()).is_none() {
            let message = "must be a whole number from 1 to 1000000000000, or such a number with a minus sign";
            errors.push(FieldError::new("amount", message));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            errors.push(FieldError::new("expiresAt", "must be in the future"));
        } else if self.expires_at.is_some() && self.amount < 0 {
            let message = "goes with an amount that is added";
            errors.push(FieldError::new("expiresAt", message));
        }
        match key {
            Some(key) if errors.is_empty() => Ok(Correction::Adjust {
                amount: self.amount,
                reason: self.reason,
                expires_at: self.expires_at,
                key,
            }),
            Some(_) => Err(Problem::validation(errors)),
            None => {
                let message = "is required, here or in the Idempotency-Key header";
                errors.push(FieldError::new("idempotencyKey", message));
                Err(Problem::validation(errors))
            }
        }
    }
}

impl RefundRequest {
    fn check(self, key: Option<String>) -> Result<Correction, Problem> {
        let mut errors = Vec::new();
        let amount = self.amount.map(Credits::amount);
        if amount == Some(None) {
            let message = "must be a whole number from 1 to 1000000000000";
            errors.push(FieldError::new("amount", message));
        }
        let transaction = TransactionId::parse(&self.transaction_id);
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        Ok(Correction::Refund {
            // What cannot be an id names no charge.
            transaction: transaction.ok_or_else(|| Problem::new(ProblemCode::NotFound))?,
            amount: amount.flatten(),
            reason: self.reason,
            key,
        })
    }
}

/// Refusals of a correction.
#[derive(Debug)]
struct Correcting;
impl Statuses for Correcting {
    const EXTRA: &'static [u16] = &[401, 402, 403, 404, 409];
}

impl From<CorrectionError> for Problem {
    fn from(error: CorrectionError) -> Self {
        match error {
            CorrectionError::Insufficient { balance } => Self::insufficient_credits(balance.get()),
            CorrectionError::NothingLeft => Self::with_detail(
                ProblemCode::Conflict,
                "All of this charge has been given back.",
            ),
            CorrectionError::ExceedsCharge { left } => {
                let message = format!("must be at most {left}, what is left of the charge");
                Self::validation(vec![FieldError::new("amount", message)])
            }
            CorrectionError::AccountFull => Self::with_detail(
                ProblemCode::Conflict,
                "The account cannot hold so much: it may have 9007199254740991 credits in 1000 lots.",
            ),
            CorrectionError::KeyReused => Self::new(ProblemCode::IdempotencyKeyReused),
            CorrectionError::Refused(refused) => refused.into(),
        }
    }
}
