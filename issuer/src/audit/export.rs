//! Taking events away, as CSV or JSON Lines, in pages.

use std::sync::Arc;

use futures_util::stream::{self, Stream};

use super::model::Event;
use super::search::{Filter, search};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Notes the export and gives its text page by page. What goes wrong after the first page ends
/// the text early with an error, so that nobody takes half for the whole.
///
/// # Errors
/// [`Refused`]: not an admin, or not signed in recently enough.
pub async fn export(
    app: &Arc<App>,
    caller: &Caller,
    filter: Filter,
    format: Format,
    request: &RequestInfo,
) -> Result<impl Stream<Item = Result<String, std::io::Error>> + Send + 'static, Refused> {
    let mut connection = app.db.acquire().await?;
    let outcome = store::record_export(
        &mut connection,
        caller,
        &filter.to_json(),
        &request.to_json(),
    )
    .await?;
    drop(connection);
    Refused::unless_done(&outcome)?;
    let state = State {
        app: Arc::clone(app),
        caller: caller.clone(),
        filter,
        format,
        next: Next::First,
    };
    Ok(stream::try_unfold(state, State::page))
}

struct State {
    app: Arc<App>,
    caller: Caller,
    filter: Filter,
    format: Format,
    next: Next,
}

enum Next {
    First,
    Before(i64),
    Nothing,
}

impl State {
    async fn page(mut self) -> Result<Option<(String, Self)>, std::io::Error> {
        let (before, mut text) = match self.next {
            Next::First if self.format == Format::Csv => (None, CSV_HEADER.to_owned()),
            Next::First => (None, String::new()),
            Next::Before(id) => (Some(id), String::new()),
            Next::Nothing => return Ok(None),
        };
        let page = search(&self.app, &self.caller, &self.filter, before, PAGE)
            .await
            .map_err(|_| std::io::Error::other("the export ends early"))?;
        for event in &page.events {
            match self.format {
                Format::Csv => text.push_str(&csv_line(event)),
                Format::JsonLines => {
                    text.push_str(&serde_json::to_string(event)?);
                    text.push('\n');
                }
            }
        }
        self.next = page.next.map_or(Next::Nothing, Next::Before);
        Ok(Some((text, self)))
    }
}

fn csv_line(event: &Event) -> String {
    let occurred_at = event
        .occurred_at
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    let details = event.details.to_string();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let cells = [
        event.id.to_string(),
        occurred_at,
        event.kind.clone(),
        event.outcome.clone(),
        event.actor_kind.clone(),
        text(&event.actor_id),
        text(&event.target_kind),
        text(&event.target_id),
        text(&event.user_id),
        text(&event.session_id),
        text(&event.request_id),
        text(&event.ip_address),
        text(&event.user_agent),
        details,
    ];
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// Quoted, and never the beginning of a formula: a user agent is chosen by whoever calls, and
/// spreadsheets run what begins with one of these characters.
fn csv_cell(text: &str) -> String {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if runs { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

const CSV_HEADER: &str = "id,occurredAt,kind,outcome,actorKind,actorId,targetKind,targetId,userId,sessionId,requestId,ipAddress,userAgent,details\r\n";
/// Bounds what an export holds in memory, however long it is.
const PAGE: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_disarmed() {
        assert_eq!(csv_cell("plain"), "\"plain\"");
        assert_eq!(csv_cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        for formula in ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1"] {
            assert!(csv_cell(formula).starts_with("\"'"), "{formula}");
        }
    }
}
