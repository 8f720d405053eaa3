//! Signing in with a password.

use std::fmt;
use std::net::IpAddr;

use tokio::time::Instant;

use super::mailed;
use super::model::{Email, Password, User};
use super::password::{Client, HashError, Verdict};
use super::store::{self, Credentials};
use crate::app::App;
use crate::db::{self, DbError};
use crate::http::RequestInfo;
use crate::http::rate_limit::Class;
use crate::metrics::OutcomeLabel;
use crate::second_factor::{self, LoginChallenge};
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

/// What a right password leads to.
#[derive(Debug)]
pub enum LoggedIn {
    /// A session.
    Session(User, Tokens),
    /// The question for a second factor.
    SecondFactor(LoginChallenge),
}

/// Checks the password and opens a session, or asks for the second factor.
///
/// # Errors
/// [`LoginError`]. A wrong address, a wrong password and a banned user are one refusal.
pub async fn login(
    app: &App,
    attempt: LoginAttempt,
    request: &RequestInfo,
) -> Result<LoggedIn, LoginError> {
    let result = sign_in(app, attempt, request).await;
    let outcome = match &result {
        Ok(LoggedIn::Session(..)) => "success",
        Ok(LoggedIn::SecondFactor(_)) => "second_factor",
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

/// The steps: find the account, check the password, refuse or go on.
async fn sign_in(
    app: &App,
    attempt: LoginAttempt,
    request: &RequestInfo,
) -> Result<LoggedIn, LoginError> {
    let began = Instant::now();
    let (Some(email), Some(password)) = (attempt.email, attempt.password) else {
        return Err(LoginError::InvalidCredentials);
    };
    let credentials = find(app, &email, attempt.device_id.as_deref(), request).await?;
    let client = client(credentials.as_ref());
    draw_on_account(app, &email, client, request.ip).await?;
    let found = credentials.filter(|found| found.status == "active");
    let new_hash = match check_password(app, found.as_ref(), password, client).await? {
        Checked::Right { new_hash } => new_hash,
        Checked::Wrong => return refuse(app, found.as_ref(), request, began).await,
    };
    let Some(found) = found else {
        return refuse(app, None, request, began).await;
    };
    if app.config.mail.verification && !found.email_verified {
        return refuse_unverified(app, &found.user_id, request, began).await;
    }
    let new = NewSession {
        user_id: &found.user_id,
        credential_version: found.credential_version,
        new_hash: new_hash.as_deref(),
        methods: &["pwd"],
        device_id: attempt.device_id.as_deref(),
        device_name: attempt.device_name.as_deref(),
    };
    match go_on(app, &found, &new, request).await? {
        Some(logged_in) => Ok(logged_in),
        None => refuse(app, Some(&found), request, began).await,
    }
}

async fn find(
    app: &App,
    email: &Email,
    device_id: Option<&str>,
    request: &RequestInfo,
) -> Result<Option<Credentials>, DbError> {
    db::limited(async {
        let mut connection = app.db.acquire().await?;
        let found = store::find_credentials(&mut connection, email, request.ip, device_id).await?;
        connection.finish();
        Ok(found)
    })
    .await
}

/// Whether this client signed in to this account before.
fn client(found: Option<&Credentials>) -> Client {
    match found {
        Some(found) if found.is_known_client => Client::Known,
        Some(_) | None => Client::Unknown,
    }
}

/// What became of the password.
enum Checked {
    Right { new_hash: Option<String> },
    Wrong,
}

async fn check_password(
    app: &App,
    found: Option<&Credentials>,
    password: Password,
    client: Client,
) -> Result<Checked, HashError> {
    let hash = found.and_then(|found| found.password_hash.clone());
    match app.hasher.verify(password.clone(), hash, client).await? {
        Verdict::Wrong => Ok(Checked::Wrong),
        Verdict::Right => Ok(Checked::Right { new_hash: None }),
        Verdict::RightButOutdated => {
            let hash = app
                .hasher
                .hash(password, app.entropy.bytes(), client)
                .await?;
            Ok(Checked::Right {
                new_hash: Some(hash),
            })
        }
    }
}

/// A session, or the question for the second factor; `None` when what was checked is no longer
/// in force.
async fn go_on(
    app: &App,
    found: &Credentials,
    new: &NewSession<'_>,
    request: &RequestInfo,
) -> Result<Option<LoggedIn>, LoginError> {
    if found.two_factor_enabled {
        let challenge = second_factor::begin_login(app, new, request).await?;
        return Ok(challenge.map(LoggedIn::SecondFactor));
    }
    match sessions::open(app, new, request).await {
        Ok((user, tokens)) => Ok(Some(LoggedIn::Session(user, tokens))),
        Err(OpenSessionError::CredentialsChanged) => Ok(None),
        Err(OpenSessionError::NoSigningKey) => Err(LoginError::NoSigningKey),
        Err(OpenSessionError::Db(error)) => Err(LoginError::Db(error)),
    }
}

/// Slows down guessing at one account, wherever it comes from, without locking its owner out:
/// whoever signed in before from this device or address is not counted, and a stranger whose
/// address has not tried lately has one try even when others have used the budget up.
async fn draw_on_account(
    app: &App,
    email: &Email,
    client: Client,
    ip: IpAddr,
) -> Result<(), LoginError> {
    if client == Client::Known {
        return Ok(());
    }
    let account = app.address_digest(email.as_str());
    let Err(of_all) = app.draw_for_account(Class::LoginAccount, account).await else {
        return Ok(());
    };
    let here = client_digest(app, email, ip);
    let of_one = app.draw_for_account(Class::LoginAccountAddress, here).await;
    of_one.map_err(|_| LoginError::RateLimited {
        retry_after_secs: of_all.retry_after_secs,
    })
}

async fn refuse<T>(
    app: &App,
    found: Option<&Credentials>,
    request: &RequestInfo,
    began: Instant,
) -> Result<T, LoginError> {
    let user_id = found.map(|found| found.user_id.as_str());
    let mut connection = app.db.acquire().await?;
    store::record_refused_login(&mut connection, user_id, "credentials", &request.to_json())
        .await?;
    drop(connection);
    app.hasher.even_out(began).await;
    Err(LoginError::InvalidCredentials)
}

/// Right, but the address is not proven: to whoever asks it is as wrong as any, and the mail goes
/// out once more. One statement, as in [`refuse`].
async fn refuse_unverified<T>(
    app: &App,
    user_id: &str,
    request: &RequestInfo,
    began: Instant,
) -> Result<T, LoginError> {
    let mut connection = app.db.acquire().await?;
    let token_id = app.entropy.unique_id();
    let request = request.to_json();
    mailed::refuse_unverified_login(&mut connection, user_id, &token_id, &request).await?;
    drop(connection);
    app.hasher.even_out(began).await;
    Err(LoginError::InvalidCredentials)
}

/// An IPv6 client has a whole /64 to call from.
fn client_digest(app: &App, email: &Email, ip: IpAddr) -> [u8; 32] {
    let network = match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits() >> 64 << 64,
    };
    app.digests.mac(&[
        b"client:",
        email.as_str().as_bytes(),
        b"\n",
        &network.to_be_bytes(),
    ])
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
