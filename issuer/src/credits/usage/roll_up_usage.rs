//! Keeping the sums by hour.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Sums up what is new, in a bounded number of short transactions; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn roll_up_usage(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    for _ in 0..MAX_STEPS {
        if !store::roll_up_usage(&mut connection, ACCOUNTS_A_STEP).await? {
            break;
        }
    }
    Ok(())
}

/// A step looks at an hour at most: an issuer that was away catches up with a day in each run.
const MAX_STEPS: usize = 24;
/// A tenth of a second or so.
const ACCOUNTS_A_STEP: i32 = 1000;
