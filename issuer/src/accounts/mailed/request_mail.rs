//! Asking for a mail with a link.

use super::store;
use crate::accounts::Email;
use crate::app::App;
use crate::db::DbError;
use crate::http::RequestInfo;
use crate::http::rate_limit::Class;
use crate::mail::LinkPurpose;

/// What a stranger may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// The verification mail once more.
    Verification,
    /// A link to choose a password.
    Reset,
}

/// Puts the mail into the outbox if somebody has the address and is owed one. The caller learns
/// nothing of that.
///
/// # Errors
/// [`AskingError`].
pub async fn request_mail(
    app: &App,
    asking: Asking,
    email: &Email,
    request: &RequestInfo,
) -> Result<(), AskingError> {
    if !app.mailer.is_on() {
        return Err(AskingError::MailIsOff);
    }
    draw(app, email).await?;
    let purpose = match asking {
        Asking::Verification => LinkPurpose::VerifyEmail,
        Asking::Reset => LinkPurpose::ResetPassword,
    };
    let mut connection = app.db.acquire().await?;
    let token_id = app.entropy.unique_id();
    let request = request.to_json();
    store::request_mail(
        &mut connection,
        email,
        purpose.as_str(),
        &token_id,
        &request,
    )
    .await?;
    Ok(())
}

/// Draws on the budget of an address, whether or not it exists.
pub async fn draw(app: &App, email: &Email) -> Result<(), AskingError> {
    let digest = app.address_digest(email.as_str());
    let drawn = app.draw_for_account(Class::MailAccount, digest).await;
    drawn.map_err(|used_up| AskingError::RateLimited {
        retry_after_secs: used_up.retry_after_secs,
    })
}

/// Why nothing was asked for.
#[derive(Debug)]
pub enum AskingError {
    /// This service sends no mail.
    MailIsOff,
    /// Too many for this address.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The database.
    Db(DbError),
}

impl From<DbError> for AskingError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
