//! Access tokens: made from memory, checked from memory.

use std::sync::Arc;

use shared_claims::{AccessClaims, UnixTime, Verified, VerifyError};

use super::model::TokenSubject;
use crate::app::App;
use crate::http::problem::{Problem, ProblemCode};
use crate::secret::SecretText;
use crate::signing_keys::{Purpose, Signer};

/// Signs an access token for the subject.
pub fn issue(app: &App, signer: &Signer, subject: TokenSubject) -> SecretText {
    let now = app.clock.unix().as_secs();
    let reject_before = app
        .feed
        .current()
        .and_then(|feed| feed.reject_before)
        .unwrap_or(0);
    // A token must not carry a time that an earlier act has already cut off.
    let floor = u64::try_from(subject.cutoff.max(reject_before)).unwrap_or(0);
    let issued = now.max(floor);
    let ttl = u64::try_from(ttl_secs(app, &subject)).unwrap_or(0);
    let claims = AccessClaims {
        iss: app.config.tokens.issuer.clone(),
        sub: subject.user_id,
        aud: vec![app.config.tokens.audience.clone()],
        exp: UnixTime::from_secs(issued + ttl),
        nbf: None,
        iat: UnixTime::from_secs(issued),
        jti: app.entropy.unique_id(),
        sid: subject.session_id,
        email: Some(subject.email),
        email_verified: Some(subject.email_verified),
        role: Some(subject.role),
        act: subject.actor,
    };
    SecretText::new(signer.key.sign_access_token(&claims))
}

/// Life of the subject's access token in seconds.
pub fn ttl_secs(app: &App, subject: &TokenSubject) -> i32 {
    let usual = app.config.tokens.access_ttl_secs;
    match subject.actor {
        Some(_) => usual.min(MAX_IMPERSONATION_SECS),
        None => usual,
    }
}

/// Checks a presented token: signature, claims, revocation. No database.
///
/// # Errors
/// `invalid_token` with the verifier's code in `detail`, `session_revoked`, or `unavailable`
/// while no key is loaded.
pub fn verify(app: &App, token: &str) -> Result<Verified<AccessClaims>, Problem> {
    let signer = signer(app).ok_or_else(|| Problem::new(ProblemCode::Unavailable))?;
    check(app, &signer, token).map_err(|error| match error {
        VerifyError::Revoked => Problem::new(ProblemCode::SessionRevoked),
        error => Problem::with_detail(ProblemCode::InvalidToken, error.code()),
    })
}

/// The same check with the verifier's own error.
///
/// # Errors
/// [`VerifyError`].
pub fn check(
    app: &App,
    signer: &Signer,
    token: &str,
) -> Result<Verified<AccessClaims>, VerifyError> {
    let claims = app
        .verifier
        .verify(token, &signer.published.key_set, app.clock.unix())?;
    app.feed.check(&claims)?;
    Ok(claims)
}

/// The keys of access tokens; `None` until they are loaded.
pub fn signer(app: &App) -> Option<Arc<Signer>> {
    app.keys.signer(Purpose::AccessToken)
}

/// Acting in somebody's place is for one question and its answer.
pub const MAX_IMPERSONATION_SECS: i32 = 900;
