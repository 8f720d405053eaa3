//! Deleting one's account.

use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};

/// Ends the account and every session; personal data goes when the grace is over.
///
/// # Errors
/// [`DeleteError`].
pub async fn delete_account(
    app: &App,
    caller: &Caller,
    request: &RequestInfo,
) -> Result<(), DeleteError> {
    let mut connection = app.db.acquire().await?;
    let act = store::delete_account(&mut connection, caller, &request.to_json()).await?;
    match act.outcome.as_str() {
        "done" => {
            app.feed.sessions_ended(act.ended_sessions);
            Ok(())
        }
        "stale" => Err(DeleteError::SignInAgain),
        "last_admin" => Err(DeleteError::LastAdmin),
        _ => Err(DeleteError::SessionEnded),
    }
}

/// Why the account stays.
#[derive(Debug)]
pub enum DeleteError {
    /// The sign-in is too long ago.
    SignInAgain,
    /// The session has ended.
    SessionEnded,
    /// Nobody could administer any more.
    LastAdmin,
    /// The database.
    Db(DbError),
}

impl From<DbError> for DeleteError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
