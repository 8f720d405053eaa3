//! Everybody's events, for admins.

use serde_json::json;
use time::OffsetDateTime;

use super::list_events::Page;
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::Caller;

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose.
    pub user_id: Option<String>,
    /// What happened.
    pub kind: Option<String>,
    /// From this instant on.
    pub from: Option<OffsetDateTime>,
    /// Before this instant.
    pub to: Option<OffsetDateTime>,
}

impl Filter {
    /// As an export's own event keeps it.
    pub fn to_json(&self) -> serde_json::Value {
        let instant = |at: Option<OffsetDateTime>| at.map(OffsetDateTime::unix_timestamp);
        json!({ "user": self.user_id, "kind": self.kind, "from": instant(self.from), "to": instant(self.to) })
    }
}

/// Reads a page of at most `limit` events older than `before`.
///
/// # Errors
/// [`Refused`]: whoever asks is not an admin any more.
pub async fn search(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    before: Option<i64>,
    limit: u16,
) -> Result<Page, Refused> {
    let mut connection = app.db.acquire().await?;
    let before = before.unwrap_or(i64::MAX);
    let one_more = i32::from(limit) + 1;
    let (standing, events) =
        store::search_events(&mut connection, caller, filter, before, one_more).await?;
    Refused::unless_admin(&standing)?;
    Ok(Page::of(events, limit))
}
