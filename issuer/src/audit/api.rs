//! `/api/v1/auth/events`, `/api/v1/admin/events`.

use std::sync::Arc;

use futures_util::StreamExt;
use poem::Body as StreamBody;
use poem_openapi::param::Query;
use poem_openapi::payload::{Binary, Json};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;

use super::export::{self, Format};
use super::list_events::{self, Page};
use super::model::{Event, cursor, parse_cursor};
use super::search::{self, Filter};
use crate::app::App;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal, SignedIn};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Caller, RequestInfo};

/// The audit trail.
#[derive(Debug)]
pub struct AuditApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// Something that happened to one's account.
#[derive(Debug, Object)]
#[oai(rename = "SecurityEvent", rename_all = "camelCase")]
struct EventView {
    id: String,
    kind: String,
    /// `success` or `refused`.
    outcome: String,
    occurred_at: OffsetDateTime,
    /// Where from; null when somebody else acted.
    ip_address: Option<String>,
    user_agent: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    details: Any<Value>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            kind: event.kind,
            outcome: event.outcome,
            occurred_at: event.occurred_at,
            ip_address: event.ip_address,
            user_agent: event.user_agent,
            session_id: event.session_id,
            request_id: event.request_id,
            details: Any(event.details),
        }
    }
}

/// Something that happened, as an admin sees it.
#[derive(Debug, Object)]
#[oai(rename = "AuditEvent", rename_all = "camelCase")]
struct AuditEventView {
    id: String,
    kind: String,
    /// `success` or `refused`.
    outcome: String,
    occurred_at: OffsetDateTime,
    /// `user`, `admin`, `service`, `system` or `anonymous`.
    actor_kind: String,
    actor_id: Option<String>,
    target_kind: Option<String>,
    target_id: Option<String>,
    user_id: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    details: Any<Value>,
}

impl From<Event> for AuditEventView {
    fn from(event: Event) -> Self {
        Self {
            id: event.id.to_string(),
            kind: event.kind,
            outcome: event.outcome,
            occurred_at: event.occurred_at,
            actor_kind: event.actor_kind,
            actor_id: event.actor_id,
            target_kind: event.target_kind,
            target_id: event.target_id,
            user_id: event.user_id,
            ip_address: event.ip_address,
            user_agent: event.user_agent,
            session_id: event.session_id,
            request_id: event.request_id,
            details: Any(event.details),
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "SecurityEventPage", rename_all = "camelCase")]
struct EventPage {
    events: Vec<EventView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "AuditEventPage", rename_all = "camelCase")]
struct AuditEventPage {
    events: Vec<AuditEventView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Enum)]
#[oai(rename = "ExportFormat")]
enum ExportFormat {
    /// RFC 4180.
    #[oai(rename = "csv")]
    Csv,
    /// One JSON object a line.
    #[oai(rename = "jsonl")]
    JsonLines,
}

#[derive(ApiResponse)]
enum Exported {
    /// RFC 4180, with a header line.
    #[oai(status = 200, content_type = "text/csv; charset=utf-8")]
    Csv(
        Binary<StreamBody>,
        /// A name for the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
    /// One JSON object a line.
    #[oai(status = 200, content_type = "application/jsonl")]
    JsonLines(
        Binary<StreamBody>,
        /// A name for the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(prefix_path = "/api/v1")]
impl AuditApi {
    /// List one's own security events
    ///
    /// Newest first.
    #[oai(
        path = "/auth/events",
        method = "get",
        operation_id = "listEvents",
        tag = "Tag::Accounts"
    )]
    async fn list_events(
        &self,
        caller: Caller,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<EventPage>, Refusal<SignedIn>> {
        let before = read_cursor(cursor.0.as_deref())?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let page = list_events::list_events(&self.app, &caller, before, limit).await?;
        let page = page.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        let (events, next_cursor) = view(page);
        Ok(Json(EventPage {
            events,
            next_cursor,
        }))
    }

    /// Search security events
    ///
    /// Newest first. Role admin.
    #[oai(
        path = "/admin/events",
        method = "get",
        operation_id = "searchEvents",
        tag = "Tag::Admin"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn search_events(
        &self,
        caller: AdminCaller,
        /// Only those of this user.
        #[oai(validator(max_length = 64))]
        user: Query<Option<String>>,
        /// Only those of this kind.
        #[oai(validator(max_length = 48))]
        kind: Query<Option<String>>,
        /// From this instant on.
        from: Query<Option<OffsetDateTime>>,
        /// Before this instant.
        to: Query<Option<OffsetDateTime>>,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<AuditEventPage>, Refusal<AdminOnly>> {
        let before = read_cursor(cursor.0.as_deref())?;
        let filter = filter(user.0, kind.0, from.0, to.0)?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let page = search::search(&self.app, &caller.0, &filter, before, limit).await?;
        let (events, next_cursor) = view(page);
        Ok(Json(AuditEventPage {
            events,
            next_cursor,
        }))
    }

    /// Export security events
    ///
    /// All that match, newest first, as one file. Role admin, with a recent sign-in; the
    /// export is an event itself.
    #[oai(
        path = "/admin/events/export",
        method = "get",
        operation_id = "exportEvents",
        tag = "Tag::Admin"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn export_events(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// How it is written.
        format: Query<ExportFormat>,
        /// Only those of this user.
        #[oai(validator(max_length = 64))]
        user: Query<Option<String>>,
        /// Only those of this kind.
        #[oai(validator(max_length = 48))]
        kind: Query<Option<String>>,
        /// From this instant on.
        from: Query<Option<OffsetDateTime>>,
        /// Before this instant.
        to: Query<Option<OffsetDateTime>>,
    ) -> Result<Exported, Refusal<AdminOnly>> {
        let filter = filter(user.0, kind.0, from.0, to.0)?;
        let chosen = match format.0 {
            ExportFormat::Csv => Format::Csv,
            ExportFormat::JsonLines => Format::JsonLines,
        };
        let text = export::export(&self.app, &caller.0, filter, chosen, &request).await?;
        let body = Binary(StreamBody::from_bytes_stream(text.boxed()));
        Ok(match chosen {
            Format::Csv => Exported::Csv(body, attachment("csv")),
            Format::JsonLines => Exported::JsonLines(body, attachment("jsonl")),
        })
    }
}

fn view<T: From<Event>>(page: Page) -> (Vec<T>, Option<String>) {
    let next = page.next.map(cursor);
    (page.events.into_iter().map(T::from).collect(), next)
}

fn read_cursor(text: Option<&str>) -> Result<Option<i64>, Problem> {
    let refuse = || {
        vec![FieldError::new(
            "cursor",
            "must be a nextCursor of this list",
        )]
    };
    text.map(|text| parse_cursor(text).ok_or_else(|| Problem::validation(refuse())))
        .transpose()
}

fn filter(
    user_id: Option<String>,
    kind: Option<String>,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
) -> Result<Filter, Problem> {
    for (name, text) in [("user", &user_id), ("kind", &kind)] {
        if text.as_ref().is_some_and(|text| text.contains('\0')) {
            let error = FieldError::new(name, "must not contain the character U+0000");
            return Err(Problem::validation(vec![error]));
        }
    }
    Ok(Filter {
        user_id,
        kind,
        from,
        to,
    })
}

fn attachment(extension: &str) -> String {
    format!("attachment; filename=\"security-events.{extension}\"")
}

const DEFAULT_PAGE: u16 = 50;
