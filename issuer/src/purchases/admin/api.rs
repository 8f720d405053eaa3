//! `/api/v1/admin/purchases`, `/api/v1/admin/stripe-events`.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::model::{EventListing, PurchaseAct, PurchaseListing, is_known_form};
use super::{act, list};
use crate::app::App;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, RequestInfo};

/// Purchases and reports of Stripe, for admins.
#[derive(Debug)]
pub struct AdminPurchasesApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A purchase of anybody's.
#[derive(Debug, Object)]
#[oai(rename = "AdminPurchase", rename_all = "camelCase")]
struct PurchaseView {
    id: String,
    user_id: Option<String>,
    package_id: String,
    credits: i64,
    price_cents: i64,
    /// ISO 4217.
    currency: String,
    /// `pending`, `expired`, `failed`, `paid` or `refunded`.
    status: String,
    refunded_cents: i64,
    /// Credits that were taken back or are owed.
    credits_taken_back: i64,
    /// `open`, `won` or `lost`.
    dispute: Option<String>,
    /// Why a payment that Stripe reported was not accepted.
    problem: Option<String>,
    /// The payment at Stripe.
    payment_id: Option<String>,
    /// The checkout at Stripe.
    checkout_session_id: Option<String>,
    created_at: OffsetDateTime,
    paid_at: Option<OffsetDateTime>,
}

impl From<PurchaseListing> for PurchaseView {
    fn from(purchase: PurchaseListing) -> Self {
        Self {
            id: purchase.id,
            user_id: purchase.user_id,
            package_id: purchase.package_id,
            credits: purchase.credits,
            price_cents: purchase.price_cents,
            currency: purchase.currency,
            status: purchase.status,
            refunded_cents: purchase.refunded_cents,
            credits_taken_back: purchase.credits_taken_back,
            dispute: purchase.dispute,
            problem: purchase.problem,
            payment_id: purchase.payment_id,
            checkout_session_id: purchase.checkout_session_id,
            created_at: purchase.created_at,
            paid_at: purchase.paid_at,
        }
    }
}

/// What Stripe reported, and what became of it.
#[derive(Debug, Object)]
#[oai(rename = "StripeEvent", rename_all = "camelCase")]
struct EventView {
    id: String,
    #[oai(rename = "type")]
    kind: String,
    /// `waiting`, `applied`, `ignored`, `refused` or `dead`.
    state: String,
    outcome: Option<String>,
    object_id: Option<String>,
    payment_id: Option<String>,
    purchase_id: Option<String>,
    /// How often it came.
    deliveries: i32,
    attempts: i32,
    last_error_code: Option<String>,
    created_at: OffsetDateTime,
    received_at: OffsetDateTime,
    done_at: Option<OffsetDateTime>,
    next_attempt_at: Option<OffsetDateTime>,
}

impl From<EventListing> for EventView {
    fn from(event: EventListing) -> Self {
        Self {
            id: event.id,
            kind: event.kind,
            state: event.state,
            outcome: event.outcome,
            object_id: event.object_id,
            payment_id: event.payment_id,
            purchase_id: event.purchase_id,
            deliveries: event.n_deliveries,
            attempts: event.attempts,
            last_error_code: event.last_error_code,
            created_at: event.created_at,
            received_at: event.received_at,
            done_at: event.done_at,
            next_attempt_at: event.next_attempt_at,
        }
    }
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "PurchaseFilter", rename_all = "lowercase")]
enum OnlyPurchases {
    Pending,
    Expired,
    Failed,
    Paid,
    Refunded,
    Disputed,
    Problem,
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "StripeEventState", rename_all = "lowercase")]
enum OnlyEvents {
    Waiting,
    Applied,
    Ignored,
    Refused,
    Dead,
}

#[derive(Debug, ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Admin")]
impl AdminPurchasesApi {
    /// List purchases of everybody
    ///
    /// The latest 500, newest first.
    #[oai(
        path = "/purchases",
        method = "get",
        operation_id = "listPurchasesAsAdmin"
    )]
    async fn list_purchases(
        &self,
        caller: AdminCaller,
        /// Of this user only.
        #[oai(name = "user", validator(min_length = 1, max_length = 64))]
        user: Query<Option<String>>,
        /// With this status, that were ever disputed, or whose payment does not fit.
        only: Query<Option<OnlyPurchases>>,
    ) -> Result<Json<Vec<PurchaseView>>, Refusal<AdminOnly>> {
        let user = plain("user", user.0.as_deref())?;
        let only = only.0.map(OnlyPurchases::name);
        let listed = list::list_purchases(&self.app, &caller.0, user, only).await?;
        Ok(Json(listed.into_iter().map(PurchaseView::from).collect()))
    }

    /// Lift the freeze of a purchase
    ///
    /// Ends what its disputes have frozen; other freezes stay. 409 when it has frozen nothing.
    #[oai(
        path = "/purchases/:id/lift-freeze",
        method = "post",
        operation_id = "liftFreeze"
    )]
    async fn lift_freeze(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The purchase.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let (id, lift) = (known_id(&id.0)?, PurchaseAct::LiftFreeze);
        act::act_on_purchase(&self.app, &caller.0, id, lift, &request).await?;
        Ok(Done::Done)
    }

    /// List what Stripe reported
    ///
    /// The latest 500, newest first. `refused` and `dead` wait for somebody to look at them.
    #[oai(
        path = "/stripe-events",
        method = "get",
        operation_id = "listStripeEvents"
    )]
    async fn list_events(
        &self,
        caller: AdminCaller,
        /// In this state only.
        state: Query<Option<OnlyEvents>>,
        /// About this purchase only.
        #[oai(name = "purchase", validator(min_length = 1, max_length = 64))]
        purchase: Query<Option<String>>,
    ) -> Result<Json<Vec<EventView>>, Refusal<AdminOnly>> {
        let purchase = plain("purchase", purchase.0.as_deref())?;
        let state = state.0.map(OnlyEvents::name);
        let listed = list::list_events(&self.app, &caller.0, state, purchase).await?;
        Ok(Json(listed.into_iter().map(EventView::from).collect()))
    }

    /// Apply a report of Stripe again
    ///
    /// One that is refused or dead, after what was in its way has been mended; 409 for any other.
    #[oai(
        path = "/stripe-events/:id/replay",
        method = "post",
        operation_id = "replayStripeEvent"
    )]
    async fn replay_event(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The report.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let (id, replay) = (known_id(&id.0)?, PurchaseAct::ReplayEvent);
        act::act_on_purchase(&self.app, &caller.0, id, replay, &request).await?;
        Ok(Done::Done)
    }

    /// Dismiss a report of Stripe
    ///
    /// One that is refused or dead, when nothing more is to be done about it; 409 for any other.
    #[oai(
        path = "/stripe-events/:id/dismiss",
        method = "post",
        operation_id = "dismissStripeEvent"
    )]
    async fn dismiss_event(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The report.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let (id, dismiss) = (known_id(&id.0)?, PurchaseAct::DismissEvent);
        act::act_on_purchase(&self.app, &caller.0, id, dismiss, &request).await?;
        Ok(Done::Done)
    }
}

impl OnlyPurchases {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Paid => "paid",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::Problem => "problem",
        }
    }
}

impl OnlyEvents {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

/// What cannot be an id names nothing.
fn known_id(text: &str) -> Result<&str, Problem> {
    is_known_form(text)
        .then_some(text)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

/// A filter that the database can hold.
fn plain<'a>(field: &str, text: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    match text {
        Some(text) if text.contains('\0') => Err(Problem::validation(vec![FieldError::new(
            field,
            "must not contain the character U+0000",
        )])),
        text => Ok(text),
    }
}
