//! Ending the sessions of many at once, by the operator.

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use super::store;
use crate::db::DbError;
use crate::revocations;

/// Which live sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only those of users with this role.
    pub role: Option<String>,
    /// Only those opened before.
    pub opened_before: Option<OffsetDateTime>,
    /// Only those opened then or later.
    pub opened_after: Option<OffsetDateTime>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedMany {
    /// How many sessions were ended.
    pub ended: i64,
    /// Whether every access token was cut off, of other sessions too: their clients refresh.
    pub all_tokens_cut_off: bool,
}

/// How many sessions would be ended now.
///
/// # Errors
/// [`DbError`].
pub async fn count_many(
    connection: &mut PgConnection,
    filter: &SessionFilter,
) -> Result<i64, DbError> {
    store::count_live_sessions(connection, filter).await
}

/// Ends the sessions that fit, each with its event, in short transactions; safe to run again after
/// it was cut off. Few are named in the feed one by one. For many the feed cuts off every access
/// token at once: nobody's refresh ends by that, and the feed stays small.
///
/// # Errors
/// [`DbError`]; what was ended by then stays ended.
pub async fn end_many(
    connection: &mut PgConnection,
    filter: &SessionFilter,
    mut told: impl FnMut(i64),
) -> Result<EndedMany, DbError> {
    // Who signs in while this runs is not meant.
    let now = store::now(connection).await?;
    let filter = SessionFilter {
        opened_before: Some(filter.opened_before.map_or(now, |before| before.min(now))),
        ..filter.clone()
    };
    let listed = store::count_live_sessions(connection, &filter).await? <= MAX_LISTED;
    let ended = end_in_batches(connection, &filter, listed, &mut told).await?;
    if !listed {
        let mut tx = connection.begin().await?;
        revocations::cut_off_all_tokens(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(EndedMany {
        ended,
        all_tokens_cut_off: !listed,
    })
}

/// Ends every live session of a database that nobody serves, without a word to the feed.
///
/// # Errors
/// [`DbError`].
pub async fn end_every_quietly(connection: &mut PgConnection) -> Result<i64, DbError> {
    end_in_batches(connection, &SessionFilter::default(), false, &mut |_| ()).await
}

async fn end_in_batches(
    connection: &mut PgConnection,
    filter: &SessionFilter,
    listed: bool,
    told: &mut impl FnMut(i64),
) -> Result<i64, DbError> {
    let (mut ended, mut last_id) = (0, String::new());
    loop {
        let batch = store::end_live_sessions(connection, filter, listed, &last_id, BATCH).await?;
        ended += i64::from(batch.ended);
        told(ended);
        match batch.last_id {
            Some(id) => last_id = id,
            None => return Ok(ended),
        }
    }
}

/// Half of what the feed holds: what else is in it stays.
const MAX_LISTED: i64 = 5_000;
/// Some tenths of a second, in which nobody waits for a session's row.
const BATCH: i32 = 1_000;
