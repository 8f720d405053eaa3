//! One's own events.

use super::model::Event;
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;

/// A page, newest first.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<i64>,
}

impl Page {
    /// A page of `limit` from one more than that, which tells whether there is a next one.
    pub(super) fn of(mut events: Vec<Event>, limit: u16) -> Self {
        let has_more = events.len() > usize::from(limit);
        events.truncate(usize::from(limit));
        let next = events.last().map(|last| last.id).filter(|_| has_more);
        Self { events, next }
    }
}

/// Reads a page of at most `limit` of the caller's events, older than `before`; `None` once
/// the caller's session has ended.
///
/// # Errors
/// [`DbError`].
pub async fn list_events(
    app: &App,
    caller: &Caller,
    before: Option<i64>,
    limit: u16,
) -> Result<Option<Page>, DbError> {
    let mut connection = app.db.acquire().await?;
    let before = before.unwrap_or(i64::MAX);
    let events = store::list_events(&mut connection, caller, before, i32::from(limit) + 1).await?;
    Ok(events.map(|events| Page::of(events, limit)))
}
