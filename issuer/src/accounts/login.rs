//! Signing in with a password.

use std::fmt;
use std::net::IpAddr;

use tokio::time::Instant;

use super::model::{Email, Password, User};
use super::password::{Client, HashError, Verdict};
use super::store;
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
    let began = Instant::now();
    let (Some(email), Some(password)) = (attempt.email, attempt.password) else {
        return Err(LoginError::InvalidCredentials);
    };
    let credentials = db::limited(async {
        let mut connection = app.db.acquire().await?;
        let device_id = attempt.device_id.as_deref();
        store::find_credentials(&mut connection, &email, request.ip, device_id).await
    })
    .await?;
    let client = match &credentials {
        Some(found) if found.is_known_client => Client::Known,
        Some(_) | None => Client::Unknown,
    };
    draw_on_account(app, &email, client, request.ip).await?;
    let usable = credentials.filter(|found| found.status == "active" && !found.two_factor_enabled);
    let hash = usable
        .as_ref()
        .and_then(|found| found.password_hash.clone());
    let verdict = app.hasher.verify(password.clone(), hash, client).await?;

    let Some(found) = usable.as_ref().filter(|_| verdict != Verdict::Wrong) else {
        let user_id = usable.as_ref().map(|found| found.user_id.as_str());
        return refuse(app, user_id, request, began).await;
    };
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
        Ok(opened) => Ok(opened),
        Err(OpenSessionError::CredentialsChanged) => {
            refuse(app, Some(&found.user_id), request, began).await
        }
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
    if client == Client::Known || app.is_unlimited() {
        return Ok(());
    }
    let now = app.clock.now();
    let account = shorten(app.address_digest(email.as_str()));
    let of_all = app
        .limiter
        .draw_for_account(Class::LoginAccount, account, now);
    let of_all = of_all.await;
    if of_all.allowed {
        return Ok(());
    }
    let here = shorten(client_digest(app, email, ip));
    let of_one = app
        .limiter
        .draw_for_account(Class::LoginAccountAddress, here, now);
    match of_one.await.allowed {
        true => Ok(()),
        false => Err(LoginError::RateLimited {
            retry_after_secs: of_all.reset_secs,
        }),
    }
}

async fn refuse<T>(
    app: &App,
    user_id: Option<&str>,
    request: &RequestInfo,
    began: Instant,
) -> Result<T, LoginError> {
    let mut connection = app.db.acquire().await?;
    store::record_refused_login(&mut connection, user_id, "credentials", &request.to_json())
        .await?;
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

fn shorten(digest: [u8; 32]) -> [u8; 16] {
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
