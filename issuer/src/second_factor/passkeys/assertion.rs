//! A passkey as a second factor, and to sign in again.

use serde_json::Value;
use sqlx::PgConnection;

use super::ceremony::{self, Asked, Purpose};
use super::relying_party::{Assertion, Updated};
use super::{PasskeyError, store};
use crate::app::App;
use crate::db::DbError;
use crate::http::Caller;
use crate::second_factor::challenge_token::Kind;

/// The answer of an authenticator and the token of the question.
#[derive(Debug)]
pub struct PasskeyAnswer {
    /// The token.
    pub token: String,
    /// What the browser sends.
    pub credential: Value,
}

/// A passkey whose answer was right.
pub struct Used {
    id: String,
    updated: Updated,
}

impl Used {
    pub(super) fn new(id: String, updated: Updated) -> Self {
        Self { id, updated }
    }
}

/// Asks for a passkey of the user whose password was right.
///
/// # Errors
/// [`PasskeyError`].
pub async fn begin_second_factor(app: &App, challenge_token: &str) -> Result<Asked, PasskeyError> {
    let party = ceremony::relying_party(app)?;
    let id = app.challenges.decode(Kind::Login, challenge_token);
    let id = id.ok_or(PasskeyError::ChallengeOver)?;
    let mut connection = app.db.acquire().await?;
    let found = store::find_challenged(&mut connection, &id).await?;
    drop(connection);
    let (user_id, stored) = found.ok_or(PasskeyError::ChallengeOver)?;
    let purpose = Purpose::SecondFactor(&id);
    ceremony::keep(app, Some(&user_id), purpose, party.ask_for(stored)).await
}

/// Asks for a passkey of the caller.
///
/// # Errors
/// [`PasskeyError`].
pub async fn begin_reauthentication(app: &App, caller: &Caller) -> Result<Asked, PasskeyError> {
    let party = ceremony::relying_party(app)?;
    let mut connection = app.db.acquire().await?;
    let stored = store::find_own(&mut connection, caller).await?;
    drop(connection);
    let stored = stored.ok_or(PasskeyError::SessionEnded)?;
    if stored.is_empty() {
        return Err(PasskeyError::NotFound);
    }
    let session_id = &caller.session_id;
    let purpose = Purpose::Reauthentication { session_id };
    ceremony::keep(app, Some(&caller.user_id), purpose, party.ask_for(stored)).await
}

/// Checks an answer; `None` when it is not one to a question of this purpose to this user.
///
/// # Errors
/// [`DbError`].
pub async fn check_assertion(
    app: &App,
    user_id: &str,
    answer: &PasskeyAnswer,
    purpose: Purpose<'_>,
) -> Result<Option<Used>, DbError> {
    let Some(party) = app.passkeys.as_ref() else {
        return Ok(None);
    };
    let state = ceremony::take(app, Some(user_id), purpose, &answer.token).await?;
    let (Some(state), Some(assertion)) = (state, Assertion::parse(answer.credential.clone()))
    else {
        return Ok(None);
    };
    let mut connection = app.db.acquire().await?;
    let found = store::find_passkey(&mut connection, assertion.credential_id()).await?;
    let own = found.filter(|found| found.user_id == user_id);
    Ok(own.and_then(|found| {
        let updated = party.check_asked(state, &assertion, found.credential)?;
        Some(Used::new(found.id, updated))
    }))
}

/// Notes the use; `false` when the counter shows a copy.
///
/// # Errors
/// [`DbError`].
pub async fn spend(
    connection: &mut PgConnection,
    user_id: &str,
    used: &Used,
) -> Result<bool, DbError> {
    store::use_passkey(connection, user_id, &used.id, &used.updated).await
}
