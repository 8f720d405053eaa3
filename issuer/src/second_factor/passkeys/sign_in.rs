//! Signing in with a passkey and nothing else.

use serde_json::Value;

use super::assertion::{Used, spend};
use super::ceremony::{self, Asked, Purpose};
use super::relying_party::Assertion;
use super::{PasskeyError, store};
use crate::accounts::User;
use crate::app::App;
use crate::http::RequestInfo;
use crate::metrics::OutcomeLabel;
use crate::sessions::{self, NewSession, OpenSessionError, Tokens};

/// Asks whoever is there.
///
/// # Errors
/// [`PasskeyError`].
pub async fn begin_sign_in(app: &App) -> Result<Asked, PasskeyError> {
    let question = ceremony::relying_party(app)?.ask_anyone();
    ceremony::keep(app, None, Purpose::SignIn, question).await
}

/// The answer, and the device it comes from.
#[derive(Debug)]
pub struct SignInAnswer {
    /// The token of the question.
    pub token: String,
    /// What the browser sends.
    pub credential: Value,
    /// The app's name for the device.
    pub device_id: Option<String>,
    /// What the device is called.
    pub device_name: Option<String>,
}

/// Checks the answer and opens a session.
///
/// # Errors
/// [`PasskeyError`].
pub async fn sign_in(
    app: &App,
    answer: SignInAnswer,
    request: &RequestInfo,
) -> Result<(User, Tokens), PasskeyError> {
    let result = open_session(app, answer, request).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(PasskeyError::NoSigningKey | PasskeyError::Db(_)) => "failed",
        Err(_) => "refused",
    };
    let label = OutcomeLabel { outcome };
    app.metrics.logins.get_or_create(&label).inc();
    result
}

async fn open_session(
    app: &App,
    answer: SignInAnswer,
    request: &RequestInfo,
) -> Result<(User, Tokens), PasskeyError> {
    let party = ceremony::relying_party(app)?;
    let state = ceremony::take(app, None, Purpose::SignIn, &answer.token).await?;
    let state = state.ok_or(PasskeyError::ChallengeOver)?;
    let assertion = Assertion::parse(answer.credential).ok_or(PasskeyError::WrongAnswer)?;
    let mut connection = app.db.acquire().await?;
    let found = store::find_passkey(&mut connection, assertion.credential_id()).await?;
    let found = found.ok_or(PasskeyError::WrongAnswer)?;
    let updated = party
        .check_anyone(state, &assertion, found.credential)
        .filter(|_| assertion.names(&found.user_id));
    let used = updated.map(|updated| Used::new(found.id, updated));
    let accepted = match &used {
        Some(used) => spend(&mut connection, &found.user_id, used).await?,
        None => false,
    };
    if !accepted {
        store::record_refused(&mut connection, &found.user_id, &request.to_json()).await?;
        return Err(PasskeyError::WrongAnswer);
    }
    drop(connection);
    let new = NewSession {
        user_id: &found.user_id,
        credential_version: found.credential_version,
        new_hash: None,
        methods: &["hwk", "user"],
        device_id: answer.device_id.as_deref(),
        device_name: answer.device_name.as_deref(),
    };
    Ok(sessions::open(app, &new, request).await?)
}

impl From<OpenSessionError> for PasskeyError {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::CredentialsChanged => Self::WrongAnswer,
            OpenSessionError::NoSigningKey => Self::NoSigningKey,
            OpenSessionError::Db(error) => Self::Db(error),
        }
    }
}
