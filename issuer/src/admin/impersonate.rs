//! Acting in somebody's place.

use super::model::Refused;
use super::store::{self, NewImpersonation};
use crate::app::App;
use crate::http::{Caller, RequestInfo};
use crate::secret::{SecretText, base64url, sha256};
use crate::sessions::TokenSubject;
use crate::sessions::access_token::{self, MAX_IMPERSONATION_SECS};

/// What an admin gets: an access token alone.
#[derive(Debug)]
pub struct Impersonation {
    /// Names the user as `sub` and the admin as `act.sub`.
    pub access_token: SecretText,
    /// Its life in seconds.
    pub expires_in_secs: i32,
    /// Its session, which ends with it.
    pub session_id: String,
}

/// Opens a short session of the user and signs its only token.
///
/// # Errors
/// [`Refused`].
pub async fn impersonate(
    app: &App,
    caller: &Caller,
    target_id: &str,
    reason: &str,
    request: &RequestInfo,
) -> Result<Impersonation, Refused> {
    let signer = access_token::signer(app).ok_or(Refused::NoSigningKey)?;
    let session_id = base64url(&app.entropy.session_id());
    let nonce: [u8; 32] = app.entropy.bytes();
    let new = NewImpersonation {
        target_id,
        session_id: &session_id,
        nonce_hash: &sha256(&nonce),
        reason,
        ttl_secs: app
            .config
            .tokens
            .access_ttl_secs
            .min(MAX_IMPERSONATION_SECS),
    };
    let mut connection = app.db.acquire().await?;
    let row = store::impersonate(&mut connection, caller, &new, &request.to_json()).await?;
    drop(connection);
    Refused::unless_done(&row.outcome)?;
    let missing = || {
        Refused::Db(crate::db::DbError::Inconsistent(
            "impersonation without a user",
        ))
    };
    let subject = TokenSubject {
        user_id: target_id.into(),
        session_id: session_id.clone(),
        email: row.email.ok_or_else(missing)?,
        email_verified: row.email_verified.ok_or_else(missing)?,
        role: row.role.ok_or_else(missing)?,
        cutoff: row.token_cutoff.ok_or_else(missing)?,
        actor: Some(caller.user_id.clone()),
    };
    Ok(Impersonation {
        expires_in_secs: new.ttl_secs,
        access_token: access_token::issue(app, &signer, subject),
        session_id,
    })
}
