//! Signing in again, so that a sensitive act is allowed for ten minutes.

use super::factor::{self, Checked, FactorError, Shown};
use super::passkeys::Purpose;
use super::store::{self, OwnCredentials};
use crate::accounts::{Client, HashError, Password, Verdict};
use crate::app::App;
use crate::db::{self, DbError};
use crate::http::rate_limit::Class;
use crate::http::{Caller, RequestInfo};

/// What the user shows: a password, a second factor, or both.
#[derive(Debug)]
pub struct Credential {
    /// The password as typed.
    pub password: Option<PasswordShown>,
    /// A second factor.
    pub factor: Option<Shown>,
}

/// A password as typed; `None` inside when it cannot be one.
#[derive(Debug)]
pub struct PasswordShown(pub Option<Password>);

/// Checks what was shown and notes the time in the session.
///
/// # Errors
/// [`ReauthenticateError`].
pub async fn reauthenticate(
    app: &App,
    caller: &Caller,
    credential: Credential,
    request: &RequestInfo,
) -> Result<(), ReauthenticateError> {
    draw_on_account(app, caller).await?;
    let own = load(app, caller).await?;
    let is_enough = match &credential.factor {
        // It verified its user: two factors in one.
        Some(Shown::Passkey(_)) => true,
        Some(_) => {
            own.two_factor_enabled && (credential.password.is_some() || own.password_hash.is_none())
        }
        None => !own.two_factor_enabled && credential.password.is_some(),
    };
    if !is_enough {
        return Err(ReauthenticateError::MoreNeeded);
    }
    let mut methods = Vec::new();
    if let Some(shown) = credential.password {
        check_password(app, caller, shown, &own, request).await?;
        methods.push("pwd");
    }
    let checked = match &credential.factor {
        Some(shown) => Some(check_factor(app, caller, shown, request).await?),
        None => None,
    };
    methods.extend(credential.factor.as_ref().map(Shown::method));
    if note(app, caller, &own, checked.as_ref(), &methods, request).await? {
        return Ok(());
    }
    refuse(
        app,
        caller,
        methods.last().copied().unwrap_or("pwd"),
        request,
    )
    .await
}

/// Whoever holds somebody's access token must not guess their password with it.
async fn draw_on_account(app: &App, caller: &Caller) -> Result<(), ReauthenticateError> {
    let digest = app
        .digests
        .mac(&[b"reauthenticate:", caller.user_id.as_bytes()]);
    let drawn = app.draw_for_account(Class::LoginAccount, digest).await;
    drawn.map_err(|used_up| ReauthenticateError::RateLimited {
        retry_after_secs: used_up.retry_after_secs,
    })
}

async fn load(app: &App, caller: &Caller) -> Result<OwnCredentials, ReauthenticateError> {
    let found = db::limited(async {
        let mut connection = app.db.acquire().await?;
        store::find_own_credentials(&mut connection, caller).await
    });
    found.await?.ok_or(ReauthenticateError::SessionEnded)
}

async fn check_password(
    app: &App,
    caller: &Caller,
    shown: PasswordShown,
    own: &OwnCredentials,
    request: &RequestInfo,
) -> Result<(), ReauthenticateError> {
    let (Some(password), Some(hash)) = (shown.0, own.password_hash.clone()) else {
        return refuse(app, caller, "pwd", request).await;
    };
    match app
        .hasher
        .verify(password, Some(hash), Client::Known)
        .await?
    {
        Verdict::Right | Verdict::RightButOutdated => Ok(()),
        Verdict::Wrong => refuse(app, caller, "pwd", request).await,
    }
}

async fn check_factor(
    app: &App,
    caller: &Caller,
    shown: &Shown,
    request: &RequestInfo,
) -> Result<Checked, ReauthenticateError> {
    let purpose = Purpose::Reauthentication {
        session_id: &caller.session_id,
    };
    match factor::check(app, &caller.user_id, shown, purpose).await {
        Err(FactorError::Wrong) => refuse(app, caller, shown.method(), request).await,
        result => Ok(result?),
    }
}

/// Spends the factor and marks the session together, or neither.
async fn note(
    app: &App,
    caller: &Caller,
    own: &OwnCredentials,
    checked: Option<&Checked>,
    methods: &[&str],
    request: &RequestInfo,
) -> Result<bool, DbError> {
    let request = request.to_json();
    let mut tx = app.db.begin().await?;
    let version = own.credential_version;
    let mut noted =
        store::reauthenticate_session(&mut tx, caller, version, methods, &request).await?;
    if let Some(checked) = checked {
        noted = noted && factor::spend(&mut tx, &caller.user_id, checked, &request).await?;
    }
    if noted {
        tx.commit().await?;
    }
    Ok(noted)
}

async fn refuse<T>(
    app: &App,
    caller: &Caller,
    method: &str,
    request: &RequestInfo,
) -> Result<T, ReauthenticateError> {
    let mut connection = app.db.acquire().await?;
    let session = Some(caller.session_id.as_str());
    let request = request.to_json();
    store::record_refused(&mut connection, &caller.user_id, session, method, &request).await?;
    Err(ReauthenticateError::Wrong)
}

/// Why the session counts as before.
#[derive(Debug)]
pub enum ReauthenticateError {
    /// The session has ended.
    SessionEnded,
    /// What was shown does not suffice for this account.
    MoreNeeded,
    /// What was shown is wrong.
    Wrong,
    /// Too many wrong codes for this account.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The stored secret does not open.
    Unreadable,
    /// The password could not be checked.
    Hash(HashError),
    /// The database.
    Db(DbError),
}

impl From<DbError> for ReauthenticateError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<HashError> for ReauthenticateError {
    fn from(error: HashError) -> Self {
        Self::Hash(error)
    }
}

impl From<FactorError> for ReauthenticateError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Wrong => Self::Wrong,
            FactorError::RateLimited { retry_after_secs } => Self::RateLimited { retry_after_secs },
            FactorError::Unreadable => Self::Unreadable,
            FactorError::Db(error) => Self::Db(error),
        }
    }
}
