//! Accounts that nobody uses.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Writes down what has lapsed in them: lots, holds, gifts. In a bounded number of short
/// transactions; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn settle_sleeping(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    for _ in 0..MAX_BATCHES {
        let n_settled = store::settle_sleeping(&mut connection, BATCH).await?;
        if n_settled < i64::from(BATCH) {
            break;
        }
    }
    Ok(())
}

/// Fifty accounts are locked for some hundredths of a second.
const BATCH: i32 = 50;
/// Bounds how long the other jobs of a sweep wait.
const MAX_BATCHES: usize = 20;
