//! Taking a gift back.

use std::fmt;

use super::model::Gift;
use super::store;
use crate::app::App;
use crate::credits::model::Credits;
use crate::db::DbError;

/// Puts a gift that nobody has taken back into the lots it came from; again is the same answer.
/// Answers the gift and what can be spent now.
///
/// # Errors
/// [`CancelGiftError`].
pub async fn cancel_gift(
    app: &App,
    user_id: &str,
    gift_id: &str,
) -> Result<(Gift, Credits), CancelGiftError> {
    let config = &app.config.credits;
    let row = app
        .db
        .retry("cancel_gift", || async {
            let mut connection = app.db.acquire().await?;
            store::cancel_gift(&mut connection, user_id, gift_id, config).await
        })
        .await?;
    match row.outcome.as_str() {
        "done" => {
            let balance = row.available()?;
            Ok((row.into_gift()?, balance))
        }
        "no_gift" => Err(CancelGiftError::NotFound),
        "ended" => Err(CancelGiftError::Ended),
        _ => Err(DbError::Inconsistent("unknown outcome of cancelling").into()),
    }
}

/// Why nothing was taken back.
#[derive(Debug)]
pub enum CancelGiftError {
    /// The user made no such gift.
    NotFound,
    /// Somebody has redeemed it, or it has gone back.
    Ended,
    /// The database.
    Db(DbError),
}

impl From<DbError> for CancelGiftError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for CancelGiftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such gift"),
            Self::Ended => f.write_str("the gift has ended"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CancelGiftError {}
