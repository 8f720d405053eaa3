//! Choosing a password by a link.

use super::store;
use super::verify_email::{LinkError, grant_waiting_bonus};
use crate::accounts::model::Password;
use crate::accounts::password::{Client, HashError};
use crate::app::App;
use crate::db::{AsRetry, DbError};
use crate::http::RequestInfo;
use crate::mail::LinkPurpose;

/// Sets the password, proves the address and ends every session.
///
/// # Errors
/// [`ResetError`]. Only a link of ours is worth hashing a password for.
pub async fn reset_password(
    app: &App,
    secret: &str,
    password: Password,
    request: &RequestInfo,
) -> Result<(), ResetError> {
    let token_id = app
        .mail_links
        .read(LinkPurpose::ResetPassword, secret)
        .ok_or(ResetError::Link(LinkError::NotGood))?;
    let hash = app
        .hasher
        .hash(password, app.entropy.bytes(), Client::Unknown)
        .await?;
    let request = request.to_json();
    let used = app
        .db
        .retry("reset_password", || async {
            let mut tx = app.db.begin().await?;
            let used = store::reset_password(&mut tx, &token_id, &hash, &request)
                .await?
                .ok_or(ResetError::Link(LinkError::NotGood))?;
            grant_waiting_bonus(app, &mut tx, &used).await?;
            tx.commit().await?;
            Ok::<_, ResetError>(used)
        })
        .await?;
    app.feed.sessions_ended(used.ended_sessions);
    Ok(())
}

/// Why no password was set.
#[derive(Debug)]
pub enum ResetError {
    /// The link.
    Link(LinkError),
    /// The password could not be hashed.
    Hash(HashError),
}

impl From<DbError> for ResetError {
    fn from(error: DbError) -> Self {
        Self::Link(error.into())
    }
}

impl From<HashError> for ResetError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl AsRetry for ResetError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Link(error) if error.is_retryable())
    }
}
