//! Opens a session after a credential was checked.

use super::access_token;
use super::device_name::device_name;
use super::model::{TokenSubject, Tokens};
use super::refresh_token::RefreshToken;
use super::store;
use crate::accounts::User;
use crate::app::App;
use crate::db::DbError;
use crate::http::RequestInfo;

/// A session to open.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Whose.
    pub user_id: &'a str,
    /// The version of the user's credentials that was checked; it must still be in force.
    pub credential_version: i64,
    /// The same password hashed with today's parameters, when they differ.
    pub new_hash: Option<&'a str>,
    /// How the user signed in (RFC 8176): `pwd`, `otp`, `hwk`, …
    pub methods: &'a [&'a str],
    /// The app's name for the device.
    pub device_id: Option<&'a str>,
    /// What the device is called; derived from the user agent when its app does not say.
    pub device_name: Option<&'a str>,
}

/// Inserts the session and signs its first tokens.
///
/// # Errors
/// [`OpenSessionError`].
pub async fn open(
    app: &App,
    new: &NewSession<'_>,
    request: &RequestInfo,
) -> Result<(User, Tokens), OpenSessionError> {
    let signer = access_token::signer(app).ok_or(OpenSessionError::NoSigningKey)?;
    let token = RefreshToken::first(app.entropy.session_id(), app.entropy.bytes());
    let session_id = token.session_id_text();
    let agent = request.user_agent.as_deref();
    let device_name = match new.device_name {
        Some(name) => Some(name.to_owned()),
        None => agent.and_then(device_name),
    };
    let mut connection = app.db.acquire().await?;
    let request = request.to_json();
    let opened = store::open_session(
        &mut connection,
        new,
        device_name.as_deref(),
        &session_id,
        &token.nonce_hash(),
        &app.config.tokens,
        &request,
    )
    .await?
    .ok_or(OpenSessionError::CredentialsChanged)?;
    connection.finish();
    let subject = TokenSubject {
        user_id: new.user_id.into(),
        session_id,
        email: opened.email.clone(),
        email_verified: opened.email_verified,
        role: opened.role.clone(),
        cutoff: opened.token_cutoff,
        actor: None,
    };
    let tokens = Tokens {
        access_token: access_token::issue(app, &signer, subject),
        refresh_token: app.refresh_tokens.encode(&token),
        expires_in_secs: app.config.tokens.access_ttl_secs,
    };
    let user = User {
        id: new.user_id.into(),
        email: opened.email,
        name: opened.name,
        role: opened.role,
        email_verified: opened.email_verified,
        created_at: opened.created_at,
    };
    Ok((user, tokens))
}

/// Why no session was opened.
#[derive(Debug)]
pub enum OpenSessionError {
    /// The credential that was checked is not in force any more.
    CredentialsChanged,
    /// No signing key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for OpenSessionError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
