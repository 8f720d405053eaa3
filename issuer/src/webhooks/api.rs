//! `/api/v1/admin/webhook-deliveries`, and what is sent to one app.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;

use super::model::{DeliveryListing, DeliveryState, EventType, Filter, WebhookAct};
use super::{act, list};
use crate::admin::Refused;
use crate::app::App;
use crate::apps::is_app_id;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, RequestInfo};

/// What apps are told, for admins.
#[derive(Debug)]
pub struct WebhooksApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// An event on its way to an app.
#[derive(Debug, Object)]
#[oai(rename = "WebhookDelivery", rename_all = "camelCase")]
struct DeliveryView {
    id: String,
    app_id: String,
    /// `webhook-id` of every attempt, by which the receiver knows a repetition.
    event_id: String,
    /// What happened.
    #[oai(rename = "type")]
    kind: String,
    /// `pending`, `delivered` or `dead`.
    state: String,
    /// Attempts since it was made or replayed.
    attempts: i32,
    created_at: OffsetDateTime,
    /// Null once it has ended.
    next_attempt_at: Option<OffsetDateTime>,
    last_attempt_at: Option<OffsetDateTime>,
    /// The status that the receiver answered last.
    last_status: Option<i32>,
    /// Why the last attempt did not succeed, see docs/webhooks.md.
    last_error: Option<String>,
    /// When it was delivered or given up.
    ended_at: Option<OffsetDateTime>,
    /// The body that is sent.
    payload: Any<Value>,
}

impl From<DeliveryListing> for DeliveryView {
    fn from(delivery: DeliveryListing) -> Self {
        Self {
            id: delivery.id.to_string(),
            app_id: delivery.app_id,
            event_id: delivery.event_id,
            kind: delivery.kind,
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            ended_at: delivery.ended_at,
            payload: Any(delivery.payload),
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "WebhookDeliveryPage", rename_all = "camelCase")]
struct DeliveryPage {
    deliveries: Vec<DeliveryView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "WebhookDeliveryAnswer")]
struct DeliveryAnswer {
    delivery: DeliveryView,
}

#[derive(Debug, Object)]
#[oai(rename = "WebhooksReplayed")]
struct Replayed {
    /// How many are sent again.
    replayed: i64,
}

#[derive(Debug, Enum)]
#[oai(rename = "WebhookDeliveryState", rename_all = "lowercase")]
enum StateParameter {
    Pending,
    Delivered,
    Dead,
}

impl From<StateParameter> for DeliveryState {
    fn from(state: StateParameter) -> Self {
        match state {
            StateParameter::Pending => Self::Pending,
            StateParameter::Delivered => Self::Delivered,
            StateParameter::Dead => Self::Dead,
        }
    }
}

#[derive(Debug, ApiResponse)]
enum Pinged {
    /// It is sent within a second.
    #[oai(status = 201)]
    Created(Json<DeliveryAnswer>),
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Admin")]
impl WebhooksApi {
    /// List webhook deliveries
    ///
    /// Newest first.
    #[oai(
        path = "/webhook-deliveries",
        method = "get",
        operation_id = "listWebhookDeliveries"
    )]
    async fn list_deliveries(
        &self,
        caller: AdminCaller,
        /// Only those to this app.
        #[oai(name = "appId", validator(max_length = 64))]
        app_id: Query<Option<String>>,
        /// Only those in this state.
        state: Query<Option<StateParameter>>,
        /// Only those of this type, such as `purchase.paid`.
        #[oai(name = "type", validator(max_length = 64))]
        kind: Query<Option<String>>,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<DeliveryPage>, Refusal<AdminOnly>> {
        let filter = filter(app_id.0, state.0, kind.0.as_deref())?;
        let before = read_cursor(cursor.0.as_deref())?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let page = list::list_deliveries(&self.app, &caller.0, &filter, before, limit).await?;
        Ok(Json(DeliveryPage {
            deliveries: page
                .deliveries
                .into_iter()
                .map(DeliveryView::from)
                .collect(),
            next_cursor: page.next.map(|id| id.to_string()),
        }))
    }

    /// Read a webhook delivery
    #[oai(
        path = "/webhook-deliveries/:id",
        method = "get",
        operation_id = "readWebhookDelivery"
    )]
    async fn read_delivery(
        &self,
        caller: AdminCaller,
        /// The delivery.
        id: Path<String>,
    ) -> Result<Json<DeliveryAnswer>, Refusal<AdminOnly>> {
        Ok(Json(self.load(&caller, known_delivery(&id.0)?).await?))
    }

    /// Replay a webhook delivery
    ///
    /// It is sent again at once, with all its attempts, whatever has become of it. 409 while it is
    /// being sent, and when its app is disabled or has no `webhookUrl`.
    #[oai(
        path = "/webhook-deliveries/:id/replay",
        method = "post",
        operation_id = "replayWebhookDelivery"
    )]
    async fn replay_delivery(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The delivery.
        id: Path<String>,
    ) -> Result<Json<DeliveryAnswer>, Refusal<AdminOnly>> {
        let delivery_id = known_delivery(&id.0)?;
        let replay = WebhookAct::Replay { delivery_id };
        act::act(&self.app, &caller.0, &replay, &request).await?;
        Ok(Json(self.load(&caller, delivery_id).await?))
    }

    /// Replay what an app has missed
    ///
    /// Every dead delivery of the app is sent again, the newest if they are more than may wait.
    #[oai(
        path = "/apps/:app_id/webhook-replay",
        method = "post",
        operation_id = "replayDeadWebhookDeliveries"
    )]
    async fn replay_dead(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Json<Replayed>, Refusal<AdminOnly>> {
        let app_id = known_app(app_id.0)?;
        let replay = WebhookAct::ReplayDead { app_id };
        let acted = act::act(&self.app, &caller.0, &replay, &request).await?;
        Ok(Json(Replayed {
            replayed: acted.n_replayed.unwrap_or(0),
        }))
    }

    /// Send an app a test event
    ///
    /// An event of the type `ping`; read the delivery to see what became of it.
    #[oai(
        path = "/apps/:app_id/webhook-ping",
        method = "post",
        operation_id = "pingWebhook"
    )]
    async fn ping(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Pinged, Refusal<AdminOnly>> {
        let app_id = known_app(app_id.0)?;
        let acted = act::act(&self.app, &caller.0, &WebhookAct::Ping { app_id }, &request).await?;
        let id = acted.delivery_id.ok_or(Refused::NotFound)?;
        Ok(Pinged::Created(Json(self.load(&caller, id).await?)))
    }
}

impl WebhooksApi {
    async fn load(&self, caller: &AdminCaller, id: i64) -> Result<DeliveryAnswer, Problem> {
        let delivery = list::read_delivery(&self.app, &caller.0, id).await?;
        Ok(DeliveryAnswer {
            delivery: delivery.into(),
        })
    }
}

fn filter(
    app_id: Option<String>,
    state: Option<StateParameter>,
    kind: Option<&str>,
) -> Result<Filter, Problem> {
    let mut problems = Vec::new();
    if app_id.as_deref().is_some_and(|app_id| !is_app_id(app_id)) {
        problems.push(FieldError::new("appId", "must be the id of an app"));
    }
    let known = kind.map(EventType::parse);
    if known == Some(None) {
        let names = EventType::ALL.map(EventType::name).join(", ");
        problems.push(FieldError::new("type", format!("must be one of {names}")));
    }
    match problems.is_empty() {
        true => Ok(Filter {
            id: None,
            app_id,
            state: state.map(DeliveryState::from),
            kind: known.flatten(),
        }),
        false => Err(Problem::validation(problems)),
    }
}

fn read_cursor(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let refuse = || {
        let words = "must be a nextCursor of this list";
        Problem::validation(vec![FieldError::new("cursor", words)])
    };
    text.map(|text| parse_id(text).ok_or_else(refuse))
        .transpose()
}

/// What cannot be an id names nothing.
fn known_delivery(text: &str) -> Result<i64, Problem> {
    parse_id(text).ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

fn known_app(app_id: String) -> Result<String, Problem> {
    match is_app_id(&app_id) {
        true => Ok(app_id),
        false => Err(Problem::new(ProblemCode::NotFound)),
    }
}

fn parse_id(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0)
}

const DEFAULT_PAGE: u16 = 50;
