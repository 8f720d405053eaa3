//! Reading an account's history from a replica, and never less than what its owner has seen.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use super::store;
use crate::app::App;

/// A connection to a replica that has every entry the account has now; `None` when the primary has to
/// answer. The account's version is one look at its row, whatever issuer wrote it last, so whoever
/// has just spent reads it in their history. While the primary is away a copy that is not far behind
/// is better than no answer.
pub async fn read_copy(app: &App, user_id: &str) -> Option<PoolConnection<Postgres>> {
    let replica = app.db.replica()?;
    let mut copy = replica.acquire().await?;
    let wanted = match app.db.acquire().await {
        Ok(mut primary) => store::find_account_seq(&mut primary, user_id).await.ok(),
        Err(_) => None,
    };
    if let Some(wanted) = wanted {
        let held = store::find_account_seq(&mut copy, user_id).await.ok()?;
        if held < wanted {
            return None;
        }
    }
    app.metrics.reads_by_replica.inc();
    Some(copy)
}
