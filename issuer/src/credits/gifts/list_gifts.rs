//! Gifts made and received.

use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::model::{Direction, Gift};
use super::store;
use crate::app::App;
use crate::db::DbError;

/// A page, newest first.
#[derive(Debug)]
pub struct GiftPage {
    /// The gifts.
    pub gifts: Vec<Gift>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// Reads a page of at most `limit` gifts, after the one with the id `after`.
///
/// # Errors
/// [`DbError`].
pub async fn list_gifts(
    app: &App,
    user_id: &str,
    direction: Option<Direction>,
    after: Option<&str>,
    limit: u16,
) -> Result<GiftPage, DbError> {
    let mut connection = app.db.acquire().await?;
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let mut gifts = store::list_gifts(&mut connection, user_id, direction, after, one_more).await?;
    let has_more = gifts.len() > usize::from(limit);
    gifts.truncate(usize::from(limit));
    let next = gifts
        .last()
        .map(|last| last.id.clone())
        .filter(|_| has_more);
    Ok(GiftPage { gifts, next })
}

/// The gifts of a user, as they take them away.
///
/// # Errors
/// [`DbError`].
pub async fn export_gifts(connection: &mut PgConnection, user_id: &str) -> Result<Value, DbError> {
    let gifts = store::list_gifts(connection, user_id, None, None, MAX_EXPORTED).await?;
    Ok(gifts.iter().map(exported).collect())
}

fn exported(gift: &Gift) -> Value {
    let instant = |at: OffsetDateTime| at.format(&Rfc3339).ok();
    json!({
        "id": gift.id,
        "direction": gift.direction.name(),
        "amount": gift.amount.get(),
        "recipientEmail": gift.recipient_email,
        "giverName": gift.giver_name,
        "message": gift.message,
        "createdAt": instant(gift.created_at),
        "expiresAt": instant(gift.expires_at),
        "endedAt": gift.ended_at.and_then(instant),
    })
}

/// What fits into one answer; the list has pages for the rest.
const MAX_EXPORTED: i32 = 10_000;
