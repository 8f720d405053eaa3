//! Reading usage.

use sqlx::PgConnection;

use super::model::{Cursor, Span, Usage};
use super::store;
use crate::app::App;
use crate::credits::read_copy::read_copy;
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
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let read = async |connection: &mut PgConnection| {
        store::list_usage(connection, user_id, span, after, one_more).await
    };
    let copied = match read_copy(app, user_id).await {
        Some(mut copy) => read(&mut copy).await.ok(),
        None => None,
    };
    let mut lines = match copied {
        Some(lines) => lines,
        None => read(&mut *app.db.acquire().await?).await?,
    };
    let has_more = lines.len() > usize::from(limit);
    lines.truncate(usize::from(limit));
    let next = lines.last().map(Cursor::after).filter(|_| has_more);
    Ok(UsagePage { lines, next })
}
