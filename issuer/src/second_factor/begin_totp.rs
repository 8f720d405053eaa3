//! Begins to set up one-time codes.

use super::totp::{Enrolment, TotpSecret, issuer_name};
use super::{ChangeError, changed, store};
use crate::app::App;
use crate::http::Caller;

/// Keeps a new secret, not yet in force, and shows it.
///
/// # Errors
/// [`ChangeError`].
pub async fn begin_totp(app: &App, caller: &Caller) -> Result<Enrolment, ChangeError> {
    let secret = TotpSecret::generate(app);
    let sealed = secret.seal(app, &caller.user_id);
    let mut connection = app.db.acquire().await?;
    let (outcome, email) = store::begin_totp(&mut connection, caller, &sealed).await?;
    changed(&outcome)?;
    let issuer = issuer_name(&app.config.http.base_url);
    secret
        .enrolment(&email.unwrap_or_default(), &issuer)
        .ok_or(ChangeError::Unreadable)
}
