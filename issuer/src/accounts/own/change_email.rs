//! Moving to another address.

use super::store;
use crate::accounts::Email;
use crate::accounts::mailed::{AskingError, LinkError, draw};
use crate::app::App;
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};
use crate::mail::LinkPurpose;

/// Mails a link to the new address. Whether somebody has it already is not said.
///
/// # Errors
/// [`ChangeEmailError`].
pub async fn change_email(
    app: &App,
    caller: &Caller,
    email: &Email,
    request: &RequestInfo,
) -> Result<(), ChangeEmailError> {
    if !app.mailer.is_on() {
        return Err(AskingError::MailIsOff.into());
    }
    draw(app, email).await?;
    let mut connection = app.db.acquire().await?;
    let token_id = app.entropy.unique_id();
    let request = request.to_json();
    let outcome =
        store::request_email_change(&mut connection, caller, email, &token_id, &request).await?;
    match outcome.as_str() {
        "done" => Ok(()),
        "stale" => Err(ChangeEmailError::SignInAgain),
        _ => Err(ChangeEmailError::SessionEnded),
    }
}

/// Uses the link that was mailed to the new address.
///
/// # Errors
/// [`LinkError`].
pub async fn confirm_email_change(
    app: &App,
    secret: &str,
    request: &RequestInfo,
) -> Result<(), LinkError> {
    let token_id = app
        .mail_links
        .read(LinkPurpose::ChangeEmail, secret)
        .ok_or(LinkError::NotGood)?;
    let mut connection = app.db.acquire().await?;
    store::confirm_email_change(&mut connection, &token_id, &request.to_json())
        .await?
        .ok_or(LinkError::NotGood)?;
    // Tokens that name the old address are refused from now on: publish at once.
    app.feed.sessions_ended([]);
    Ok(())
}

/// Why no link was sent.
#[derive(Debug)]
pub enum ChangeEmailError {
    /// Asking was refused already.
    Asking(AskingError),
    /// The sign-in is too long ago.
    SignInAgain,
    /// The session has ended.
    SessionEnded,
}

impl From<AskingError> for ChangeEmailError {
    fn from(error: AskingError) -> Self {
        Self::Asking(error)
    }
}

impl From<DbError> for ChangeEmailError {
    fn from(error: DbError) -> Self {
        Self::Asking(error.into())
    }
}
