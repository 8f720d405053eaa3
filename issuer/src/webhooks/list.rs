//! Looking at deliveries.

use super::model::{DeliveryListing, Filter};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::http::Caller;

/// A page, newest first.
#[derive(Debug)]
pub struct Page {
    /// The deliveries.
    pub deliveries: Vec<DeliveryListing>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<i64>,
}

/// Reads a page of at most `limit` deliveries older than `before`.
///
/// # Errors
/// [`Refused`].
pub async fn list_deliveries(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    before: Option<i64>,
    limit: u16,
) -> Result<Page, Refused> {
    let mut connection = app.db.acquire().await?;
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let before = before.unwrap_or(i64::MAX);
    let (standing, mut deliveries) =
        store::list_webhooks(&mut connection, caller, filter, before, one_more).await?;
    Refused::unless_admin(&standing)?;
    let has_more = deliveries.len() > usize::from(limit);
    deliveries.truncate(usize::from(limit));
    let next = deliveries.last().map(|last| last.id).filter(|_| has_more);
    Ok(Page { deliveries, next })
}

/// Reads one.
///
/// # Errors
/// [`Refused`].
pub async fn read_delivery(
    app: &App,
    caller: &Caller,
    id: i64,
) -> Result<DeliveryListing, Refused> {
    let filter = Filter {
        id: Some(id),
        ..Filter::default()
    };
    let page = list_deliveries(app, caller, &filter, None, 1).await?;
    page.deliveries.into_iter().next().ok_or(Refused::NotFound)
}
