//! `/api/v1/credits/usage`.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::list_usage;
use super::model::{Cursor, Grouping, Span, Usage};
use crate::app::App;
use crate::http::Caller;
use crate::http::problem::{FieldError, Problem, Refusal, SignedIn};
use crate::http::tags::Tag;

/// Usage.
#[derive(Debug)]
pub struct UsageApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// What was spent, of an app or in all, in an hour or day or all of the time.
#[derive(Debug, Object)]
#[oai(rename = "Usage", rename_all = "camelCase")]
struct UsageView {
    /// Null unless it is grouped by app.
    app_id: Option<String>,
    /// When the hour or day begins (UTC); null unless it is grouped by one.
    starts_at: Option<OffsetDateTime>,
    /// How many charges and captures.
    charges: i64,
    /// How much was spent.
    spent: i64,
    /// How much was given back.
    refunded: i64,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            app_id: usage.app_id,
            starts_at: usage.starts_at,
            charges: usage.n_charges,
            spent: usage.spent,
            refunded: usage.refunded,
        }
    }
}

#[derive(Debug, ApiResponse)]
enum Listed {
    /// A page, newest first, then by app.
    #[oai(status = 200)]
    Page(
        Json<Vec<UsageView>>,
        /// Where the next page is (RFC 8288), when there is one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

#[OpenApi(prefix_path = "/api/v1/credits", tag = "Tag::Credits")]
impl UsageApi {
    /// Read usage
    ///
    /// Exact at this moment. An hour or day in which nothing happened has no line.
    #[oai(path = "/usage", method = "get", operation_id = "readUsage")]
    async fn read_usage(
        &self,
        caller: Caller,
        /// `app`, `day`, `hour`, `app,day` or `app,hour`; `app,day` when left out.
        #[oai(name = "groupBy", validator(max_length = 16))]
        group_by: Query<Option<String>>,
        /// From this full hour; 30 days back when left out.
        from: Query<Option<OffsetDateTime>>,
        /// To this full hour, which is not included; the end of this hour when left out. At most 366
        /// days after `from`.
        to: Query<Option<OffsetDateTime>>,
        /// How many; 100 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "500")))]
        limit: Query<Option<u16>>,
        /// Where the page begins, from the `Link` header of the page before.
        #[oai(validator(max_length = 200))]
        cursor: Query<Option<String>>,
    ) -> Result<Listed, Refusal<SignedIn>> {
        let span = span(group_by.0.as_deref(), from.0, to.0, self.app.clock.now())?;
        let after = after(cursor.0.as_deref(), span.grouping)?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let user_id = &caller.user_id;
        let page = list_usage::list_usage(&self.app, user_id, span, &after, limit).await?;
        let link = page.next.map(|cursor| next_page(limit, span, &cursor));
        let lines = page.lines.into_iter().map(UsageView::from).collect();
        Ok(Listed::Page(Json(lines), link))
    }
}

fn span(
    group_by: Option<&str>,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Span, Problem> {
    let mut errors = Vec::new();
    let grouping = Grouping::parse(group_by.unwrap_or("app,day"));
    if grouping.is_none() {
        let message = "must be app, day, hour, app,day or app,hour";
        errors.push(FieldError::new("groupBy", message));
    }
    let this_hour = now - Duration::nanoseconds(nanos_into_hour(now));
    let to = to.unwrap_or(this_hour + Duration::HOUR);
    // The year -9999 has nothing before it.
    let earlier = to.checked_sub(USUAL_SPAN).unwrap_or(to);
    let from = from.unwrap_or(earlier - Duration::nanoseconds(nanos_into_hour(earlier)));
    for (name, at) in [("from", from), ("to", to)] {
        if nanos_into_hour(at) != 0 {
            errors.push(FieldError::new(name, "must be a full hour"));
        }
    }
    if from >= to || to - from > MAX_SPAN {
        let message = "must be after `from`, by at most 366 days";
        errors.push(FieldError::new("to", message));
    }
    match grouping {
        Some(grouping) if errors.is_empty() => Ok(Span { grouping, from, to }),
        _ => Err(Problem::validation(errors)),
    }
}

fn nanos_into_hour(at: OffsetDateTime) -> i64 {
    let at = at.to_offset(time::UtcOffset::UTC);
    let seconds = i64::from(at.minute()) * 60 + i64::from(at.second());
    seconds * 1_000_000_000 + i64::from(at.nanosecond())
}

fn after(cursor: Option<&str>, grouping: Grouping) -> Result<Cursor, Problem> {
    let refuse = || {
        let message = "must come from the Link header of a page with the same groupBy";
        Problem::validation(vec![FieldError::new("cursor", message)])
    };
    match cursor {
        None => Ok(Cursor::default()),
        Some(text) => Cursor::parse(text, grouping).ok_or_else(refuse),
    }
}

/// RFC 8288, with a target relative to this request's.
fn next_page(limit: u16, span: Span, cursor: &Cursor) -> String {
    let instant = |at: OffsetDateTime| {
        let utc = at.to_offset(time::UtcOffset::UTC);
        utc.format(&Rfc3339).unwrap_or_default()
    };
    let (from, to) = (instant(span.from), instant(span.to));
    let (grouping, cursor) = (span.grouping.name(), cursor.text());
    format!(
        "</api/v1/credits/usage?groupBy={grouping}&from={from}&to={to}&limit={limit}&cursor={cursor}>; rel=\"next\""
    )
}

const DEFAULT_PAGE: u16 = 100;
const USUAL_SPAN: Duration = Duration::days(30);
/// A year, so that one request reads a bounded number of hours.
const MAX_SPAN: Duration = Duration::days(366);
