//! Proving an address by the link or the code that was mailed to it.

use super::request_mail::{AskingError, draw};
use super::store::{self, UsedLink};
use crate::accounts::Email;
use crate::app::App;
use crate::credits;
use crate::db::{AsRetry, DbError, Tx};
use crate::http::RequestInfo;
use crate::mail::LinkPurpose;

/// Uses a verification link.
///
/// # Errors
/// [`LinkError`].
pub async fn verify_by_link(
    app: &App,
    secret: &str,
    request: &RequestInfo,
) -> Result<(), LinkError> {
    let token_id = app
        .mail_links
        .read(LinkPurpose::VerifyEmail, secret)
        .ok_or(LinkError::NotGood)?;
    verify(app, &token_id, request).await
}

/// Uses the code of the newest verification mail of an address.
///
/// # Errors
/// [`LinkError`]. An unknown address, a wrong code and a spent one are one refusal.
pub async fn verify_by_code(
    app: &App,
    email: &Email,
    code: &str,
    request: &RequestInfo,
) -> Result<(), LinkError> {
    draw(app, email).await?;
    let mut connection = app.db.acquire().await?;
    let token_id = store::try_mail_code(&mut connection, email, &request.to_json()).await?;
    drop(connection);
    // An address without a mail costs the same comparison.
    let compared = token_id.as_deref().unwrap_or(NO_TOKEN);
    let is_right = app.mail_links.is_code(compared, code);
    match token_id.filter(|_| is_right) {
        Some(token_id) => verify(app, &token_id, request).await,
        None => Err(LinkError::NotGood),
    }
}

async fn verify(app: &App, token_id: &str, request: &RequestInfo) -> Result<(), LinkError> {
    let request = request.to_json();
    let used = app
        .db
        .retry("verify_email", || async {
            let mut tx = app.db.begin().await?;
            let used = store::verify_email(&mut tx, token_id, &request)
                .await?
                .ok_or(LinkError::NotGood)?;
            grant_waiting_bonus(app, &mut tx, &used).await?;
            tx.commit().await?;
            Ok::<_, LinkError>(used)
        })
        .await?;
    app.feed.sessions_ended(used.ended_sessions);
    Ok(())
}

/// With verification on, the signup bonus waits for the proof of the address.
pub(super) async fn grant_waiting_bonus(
    app: &App,
    tx: &mut Tx,
    used: &UsedLink,
) -> Result<(), DbError> {
    let Some(email) = Email::parse(&used.email).filter(|_| app.config.mail.verification) else {
        return Ok(());
    };
    let digest = app.address_digest(&email.canonical());
    credits::grant_signup_bonus(tx, &used.user_id, &app.config.credits, &digest).await
}

/// Why a link or code was refused.
#[derive(Debug)]
pub enum LinkError {
    /// It is not ours, was used, has run out or is void.
    NotGood,
    /// Asking was refused already.
    Asking(AskingError),
    /// The database.
    Db(DbError),
}

impl From<DbError> for LinkError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<AskingError> for LinkError {
    fn from(error: AskingError) -> Self {
        Self::Asking(error)
    }
}

impl AsRetry for LinkError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

/// Compared with where there is no mail; nobody can have its code.
const NO_TOKEN: &str = "none";
