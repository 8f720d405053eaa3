//! Finding people.

use super::model::{Refused, UserFilter, UserListing};
use super::store;
use crate::app::App;
use crate::http::Caller;

/// A page, newest first.
#[derive(Debug)]
pub struct Page {
    /// The users.
    pub users: Vec<UserListing>,
    /// The last user, after whom the next page begins; `None` on the last page.
    pub next: Option<String>,
}

/// Reads a page of at most `limit` users after the one named.
///
/// # Errors
/// [`Refused`].
pub async fn list_users(
    app: &App,
    caller: &Caller,
    filter: &UserFilter,
    after_id: Option<&str>,
    limit: u16,
) -> Result<Page, Refused> {
    let mut connection = app.db.acquire().await?;
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let (standing, mut users) =
        store::list_users(&mut connection, caller, filter, after_id, one_more).await?;
    Refused::unless_admin(&standing)?;
    let has_more = users.len() > usize::from(limit);
    users.truncate(usize::from(limit));
    let next = users
        .last()
        .map(|last| last.id.clone())
        .filter(|_| has_more);
    Ok(Page { users, next })
}
