//! What the shop speaks of, without any input or output.

use serde_json::json;
use time::OffsetDateTime;

use super::return_url::ReturnUrl;
use crate::credits::Fingerprint;
use crate::db::DbError;

/// What somebody wants to buy.
#[derive(Debug)]
pub struct Wish {
    /// The package.
    pub package_id: String,
    /// Where the user comes back to after paying.
    pub success_url: ReturnUrl,
    /// Where the user comes back to without paying.
    pub cancel_url: ReturnUrl,
}

impl Wish {
    /// What was asked for, so that a key cannot be used for something else.
    pub fn fingerprint(&self) -> Fingerprint {
        let fields = [
            ("packageId", json!(self.package_id)),
            ("successUrl", json!(self.success_url.as_str())),
            ("cancelUrl", json!(self.cancel_url.as_str())),
        ];
        Fingerprint::of("check_out", "/api/v1/credits/checkout", &fields)
    }
}

/// A purchase that has begun, as Stripe is told of it.
#[derive(Debug)]
pub struct Begun {
    /// The purchase.
    pub purchase_id: String,
    /// What the package is called.
    pub package_name: String,
    /// What it costs, in the smallest unit of the currency.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where the user comes back to after paying.
    pub success_url: String,
    /// Where the user comes back to without paying.
    pub cancel_url: String,
    /// When it began.
    pub created_at: OffsetDateTime,
}

impl Begun {
    /// When nobody can pay any more. The same in every repetition, as the idempotency key demands.
    pub fn expires_at(&self) -> i64 {
        self.created_at.unix_timestamp() + i64::from(CHECKOUT_SECS)
    }
}

/// What became of one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is in the books, or there was nothing to do.
    Done,
    /// It does not fit its purchase; an operator decides.
    Refused,
    /// It will be tried again.
    Failed,
    /// Another issuer has it.
    Taken,
}

impl Applied {
    /// Reads the outcome of `credits.apply_stripe_event`.
    ///
    /// # Errors
    /// [`DbError::Inconsistent`] for one it never has.
    pub fn parse(outcome: &str) -> Result<Self, DbError> {
        Ok(match outcome {
            "granted" | "already_paid" | "ended" | "recorded" | "settled" | "unchanged" => {
                Self::Done
            }
            "unknown_purchase" | "wrong_session" | "wrong_currency" | "wrong_amount"
            | "paid_twice" => Self::Refused,
            "failed" => Self::Failed,
            "taken" => Self::Taken,
            _ => return Err(DbError::Inconsistent("unknown outcome of a report")),
        })
    }
}

/// An hour: long enough to find a card, and within the 30 minutes to 24 hours that Stripe takes.
pub const CHECKOUT_SECS: i32 = 3_600;
