//! The history of an account.

use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::form_urlencoded;

use super::model::{AppId, EntryKind, Transaction};
use super::read_copy::read_copy;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After so many of the newest. Entries that arrive meanwhile shift the pages.
    Offset(u32),
    /// After the entry of this number, whatever arrives meanwhile.
    After(i64),
}

impl Start {
    /// A cursor shifts nothing and wins.
    pub fn of(offset: Option<u32>, cursor: Option<i64>) -> Self {
        match cursor {
            Some(seq) => Self::After(seq),
            None => Self::Offset(offset.unwrap_or(0)),
        }
    }
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<EntryKind>,
    /// Only of this app.
    pub app_id: Option<AppId>,
    /// Only from then on.
    pub from: Option<OffsetDateTime>,
    /// Only before then.
    pub to: Option<OffsetDateTime>,
}

impl Filter {
    /// As the query of a link to the page of `limit` entries after the one of this number.
    pub fn query(&self, limit: u16, seq: i64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        query.append_pair("cursor", &seq.to_string());
        if let Some(kind) = self.kind {
            query.append_pair("type", kind.name());
        }
        if let Some(app_id) = &self.app_id {
            query.append_pair("appId", app_id.as_str());
        }
        for (name, at) in [("from", self.from), ("to", self.to)] {
            if let Some(text) = at.and_then(|at| at.format(&Rfc3339).ok()) {
                query.append_pair(name, &text);
            }
        }
        query.finish()
    }
}

/// A page, newest first.
#[derive(Debug)]
pub struct Page {
    /// The entries.
    pub transactions: Vec<Transaction>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<i64>,
}

/// Reads a page of at most `limit` entries.
///
/// # Errors
/// [`DbError`].
pub async fn list_transactions(
    app: &App,
    user_id: &str,
    limit: u16,
    start: Start,
    filter: &Filter,
) -> Result<Page, DbError> {
    let (before_seq, offset) = match start {
        Start::Offset(offset) => (i64::MAX, i64::from(offset)),
        Start::After(seq) => (seq, 0),
    };
    // One more than asked for tells whether there is a next page.
    let one_more = i32::from(limit) + 1;
    let read = async |connection: &mut PgConnection| {
        store::list_transactions(connection, user_id, before_seq, offset, one_more, filter).await
    };
    let copied = match read_copy(app, user_id).await {
        Some(mut copy) => read(&mut copy).await.ok(),
        None => None,
    };
    let mut transactions = match copied {
        Some(transactions) => transactions,
        None => read(&mut *app.db.acquire().await?).await?,
    };
    let has_more = transactions.len() > usize::from(limit);
    transactions.truncate(usize::from(limit));
    let next = transactions
        .last()
        .map(|last| last.seq)
        .filter(|_| has_more);
    Ok(Page { transactions, next })
}
