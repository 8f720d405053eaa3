//! Signing in with a password.

use std::fmt;
use std::net::IpAddr;

use super::mailed;
use super::model::{Email, Password, User};
use super::password::{Client, HashError, Verdict};
use super::store::{self, Credentials};
use crate::app::App;
use crate::db::{self, DbError};
use crate::http::RequestInfo;
use crate::http::rate_limit::Class;
use crate::metrics::OutcomeLabel;
use crate::sessions::{self, NewSession, OpenSessionError, Tokens};

/// What a person gives to sign in.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The address as typed; `None` when it cannot be one.
    pub email: Option<Email>,
    /// The password as typed; `None` when it cannot be one.
    pub password: Option<Password>,
    /// The app's name for the device: a new sign-in replaces its session.
    pub device_id: Option<String>,
    /// What the device is called.
    pub device_name: Option<String>,
}

/// Checks the password and opens a session.
///
/// # Errors
/// [`LoginError`]. A wrong address, a wrong password and a banned user are one refusal.
pub async fn login(
    app: &App,
    attempt: LoginAttempt,
    request: &RequestInfo,
) -> Result<(User, Tokens), LoginError> {
    let result = check_and_open(app, attempt, request).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(LoginError::InvalidCredentials) => "refused",
        Err(LoginError::RateLimited { .. }) => "rate_limited",
        Err(_) => "failed",
    };
    app.metrics
        .logins
        .get_or_create(&OutcomeLabel { outcome })
        .inc();
    result
}

async fn check_and_open(
    app: &App,
    attempt: LoginAttempt,
    request: &RequestInfo,
) -> Result<(User, Tokens), LoginError> {
    let (Some(email), Some(password)) = (attempt.email, attempt.password) else {
        return Err(LoginError::InvalidCredentials);
    };
    let known = client_digest(app, &email, request.ip);
    let client = if app.known_clients.contains(known) {
        Client::Known
    } else {
        Client::Unknown
    };
    draw_on_account(app, &email, client)?;

    let credentials = db::limited(async {
        let mut connection = app.db.acquire().await?;
        store::find_credentials(&mut connection, &email).await
    })
    .await?;
    let usable = credentials.filter(|found| found.status == "active" && !found.two_factor_enabled);
    let is_proven = |found: &Credentials| found.email_verified || !app.config.mail.verification;
    let hash = usable
        .as_ref()
        .and_then(|found| found.password_hash.clone());
    let verdict = app
        .hasher
        .verify(password.clone(), hash.clone(), client)
        .await?;

    let (Some(found), Some(_)) = (&usable, hash.filter(|_| verdict != Verdict::Wrong)) else {
        return refuse(
            app,
            usable.as_ref().map(|found| found.user_id.as_str()),
            request,
        )
        .await;
    };
    if !is_proven(found) {
        return refuse_unverified(app, &found.user_id, request).await;
    }
    let new_hash = match verdict {
        Verdict::RightButOutdated => Some(
            app.hasher
                .hash(password, app.entropy.bytes(), client)
                .await?,
        ),
        Verdict::Right | Verdict::Wrong => None,
    };
    let new = NewSession {
        user_id: &found.user_id,
        credential_version: found.credential_version,
        new_hash: new_hash.as_deref(),
        methods: &["pwd"],
        device_id: attempt.device_id.as_deref(),
        device_name: attempt.device_name.as_deref(),
    };
    match sessions::open(app, &new, request).await {
        Ok(opened) => {
            app.known_clients.remember(known);
            Ok(opened)
        }
        Err(OpenSessionError::CredentialsChanged) => {
            refuse(app, Some(&found.user_id), request).await
        }
        Err(OpenSessionError::NoSigningKey) => Err(LoginError::NoSigningKey),
        Err(OpenSessionError::Db(error)) => Err(LoginError::Db(error)),
    }
}

fn draw_on_account(app: &App, email: &Email, client: Client) -> Result<(), LoginError> {
    if client == Client::Known || app.is_unlimited() {
        return Ok(());
    }
    let digest = shorten(app.address_digest(email.as_str()));
    let decision = app
        .limiter
        .draw_for_account(Class::LoginAccount, digest, app.clock.now());
    match decision.allowed {
        true => Ok(()),
        false => Err(LoginError::RateLimited {
            retry_after_secs: decision.reset_secs,
        }),
    }
}

async fn refuse<T>(
    app: &App,
    user_id: Option<&str>,
    request: &RequestInfo,
) -> Result<T, LoginError> {
    let mut connection = app.db.acquire().await?;
    store::record_refused_login(&mut connection, user_id, "credentials", &request.to_json())
        .await?;
    Err(LoginError::InvalidCredentials)
}

/// Right, but the address is not proven: to whoever asks it is as wrong as any, and the mail goes
/// out once more. One statement, as in [`refuse`].
async fn refuse_unverified<T>(
    app: &App,
    user_id: &str,
    request: &RequestInfo,
) -> Result<T, LoginError> {
    let mut connection = app.db.acquire().await?;
    let token_id = app.entropy.unique_id();
    let request = request.to_json();
    mailed::refuse_unverified_login(&mut connection, user_id, &token_id, &request).await?;
    Err(LoginError::InvalidCredentials)
}

fn client_digest(app: &App, email: &Email, ip: IpAddr) -> [u8; 16] {
    shorten(app.digests.mac(&[
        b"client:",
        email.as_str().as_bytes(),
        b"\n",
        ip.to_string().as_bytes(),
    ]))
}

/// Half a digest names an account well enough.
pub(super) fn shorten(digest: [u8; 32]) -> [u8; 16] {
    let [head @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    head
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum LoginError {
    /// Address or password is wrong, or the user may not sign in.
    InvalidCredentials,
    /// Too many tries for this account.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The password could not be checked.
    Hash(HashError),
    /// No key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for LoginError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<HashError> for LoginError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidCredentials => f.write_str("address or password is wrong"),
            Self::RateLimited { .. } => f.write_str("too many tries for this account"),
            Self::Hash(error) => error.fmt(f),
            Self::NoSigningKey => f.write_str("no signing key is loaded"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoginError {}
