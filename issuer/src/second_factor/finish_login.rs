//! The second factor of a sign-in.

use super::challenge_token::{ChallengeId, Kind};
use super::factor::{self, Checked, FactorError, Shown};
use super::passkeys::Purpose;
use super::store::{self, ChallengeRow};
use crate::accounts::User;
use crate::app::App;
use crate::db::DbError;
use crate::http::RequestInfo;
use crate::metrics::OutcomeLabel;
use crate::sessions::{self, NewSession, OpenSessionError, Tokens};

/// Checks the second factor and opens the session that the password asked for.
///
/// # Errors
/// [`FinishLoginError`].
pub async fn finish_login(
    app: &App,
    challenge_token: &str,
    shown: &Shown,
    request: &RequestInfo,
) -> Result<(User, Tokens), FinishLoginError> {
    let result = open_session(app, challenge_token, shown, request).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(FinishLoginError::ChallengeOver | FinishLoginError::Wrong) => "refused",
        Err(FinishLoginError::RateLimited { .. }) => "rate_limited",
        Err(
            FinishLoginError::Unreadable | FinishLoginError::NoSigningKey | FinishLoginError::Db(_),
        ) => "failed",
    };
    let label = OutcomeLabel { outcome };
    app.metrics.logins.get_or_create(&label).inc();
    result
}

async fn open_session(
    app: &App,
    challenge_token: &str,
    shown: &Shown,
    request: &RequestInfo,
) -> Result<(User, Tokens), FinishLoginError> {
    let id = app.challenges.decode(Kind::Login, challenge_token);
    let id = id.ok_or(FinishLoginError::ChallengeOver)?;
    let challenge = try_challenge(app, &id).await?;
    let user_id = challenge.user_id.as_str();
    let checked = match factor::check(app, user_id, shown, Purpose::SecondFactor(&id)).await {
        Err(FactorError::Wrong) => return refuse(app, user_id, shown, request).await,
        result => result?,
    };
    if !pass(app, &id, user_id, &checked, request).await? {
        return refuse(app, user_id, shown, request).await;
    }
    let new = NewSession {
        user_id,
        credential_version: challenge.credential_version,
        new_hash: challenge.new_password_hash.as_deref(),
        methods: checked.methods_after_password(),
        device_id: challenge.device_id.as_deref(),
        device_name: challenge.device_name.as_deref(),
    };
    Ok(sessions::open(app, &new, request).await?)
}

async fn try_challenge(app: &App, id: &ChallengeId) -> Result<ChallengeRow, FinishLoginError> {
    let mut connection = app.db.acquire().await?;
    let challenge = store::try_login_challenge(&mut connection, id).await?;
    challenge.ok_or(FinishLoginError::ChallengeOver)
}

/// Spends challenge and factor together, or neither.
async fn pass(
    app: &App,
    id: &ChallengeId,
    user_id: &str,
    checked: &Checked,
    request: &RequestInfo,
) -> Result<bool, DbError> {
    let request = request.to_json();
    let mut tx = app.db.begin().await?;
    let passed = store::close_login_challenge(&mut tx, id).await?
        && factor::spend(&mut tx, user_id, checked, &request).await?;
    if passed {
        tx.commit().await?;
    }
    Ok(passed)
}

async fn refuse<T>(
    app: &App,
    user_id: &str,
    shown: &Shown,
    request: &RequestInfo,
) -> Result<T, FinishLoginError> {
    let mut connection = app.db.acquire().await?;
    let request = request.to_json();
    store::record_refused(&mut connection, user_id, None, shown.method(), &request).await?;
    Err(FinishLoginError::Wrong)
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum FinishLoginError {
    /// Not a challenge of ours, or it is used, expired, or had its attempts.
    ChallengeOver,
    /// The second factor is wrong.
    Wrong,
    /// Too many wrong codes for this account.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The stored secret does not open.
    Unreadable,
    /// No signing key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for FinishLoginError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<FactorError> for FinishLoginError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Wrong => Self::Wrong,
            FactorError::RateLimited { retry_after_secs } => Self::RateLimited { retry_after_secs },
            FactorError::Unreadable => Self::Unreadable,
            FactorError::Db(error) => Self::Db(error),
        }
    }
}

impl From<OpenSessionError> for FinishLoginError {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::CredentialsChanged => Self::ChallengeOver,
            OpenSessionError::NoSigningKey => Self::NoSigningKey,
            OpenSessionError::Db(error) => Self::Db(error),
        }
    }
}
