//! Reading usage.

use super::model::{Cursor, Span, Usage};
use super::store;
use crate::app::App;
use crate::db::DbError;

/// A page, newest first, then by app.
#[derive(Debug)]
pub struct UsagePage {
    /// The lines.
    pub lines: Vec<Usage>,
    /// After which line the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// Reads a page of at most `limit` lines.
///
/// # Errors
/// [`DbError`].
pub async fn list_usage(
    app: &App,
    user_id: &str,
    span: Span,
    after: &Cursor,
    limit: u16,
) -> Result<UsagePage, DbError> {
    let mut connection = app.db.acquire().await?;
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let mut lines = store::list_usage(&mut connection, user_id, span, after, one_more).await?;
    let has_more = lines.len() > usize::from(limit);
    lines.truncate(usize::from(limit));
    let next = lines.last().map(Cursor::after).filter(|_| has_more);
    Ok(UsagePage { lines, next })
}
