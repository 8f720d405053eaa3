//! A question to an authenticator: kept as a row, answered once.

use serde_json::Value;

use super::relying_party::{Question, RelyingParty};
use super::{PasskeyError, store};
use crate::app::App;
use crate::db::DbError;
use crate::second_factor::challenge_token::{ChallengeId, Kind};
use crate::secret::SecretText;

/// What an authenticator is asked for. An answer counts for nothing else.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// A new passkey of the session's user.
    Registration {
        /// The session that asks.
        session_id: &'a str,
    },
    /// Signing in without a name.
    SignIn,
    /// The second factor of this sign-in.
    SecondFactor(&'a ChallengeId),
    /// Signing in again.
    Reauthentication {
        /// The session that asks.
        session_id: &'a str,
    },
}

impl Purpose<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Registration { .. } => "registration",
            Self::SignIn => "sign_in",
            Self::SecondFactor(_) => "second_factor",
            Self::Reauthentication { .. } => "reauthentication",
        }
    }

    pub(super) fn session_id(&self) -> Option<&str> {
        match self {
            Self::Registration { session_id } | Self::Reauthentication { session_id } => {
                Some(session_id)
            }
            Self::SignIn | Self::SecondFactor(_) => None,
        }
    }

    pub(super) fn challenge_id(&self) -> Option<&[u8]> {
        match self {
            Self::SecondFactor(id) => Some(id.as_slice()),
            Self::Registration { .. } | Self::SignIn | Self::Reauthentication { .. } => None,
        }
    }
}

/// A question as the client gets it.
#[derive(Debug)]
pub struct Asked {
    /// Shown again with the answer.
    pub token: SecretText,
    /// `publicKey` of the browser's call.
    pub options: Value,
}

/// The relying party of this issuer.
pub(super) fn relying_party(app: &App) -> Result<&RelyingParty, PasskeyError> {
    app.passkeys.as_ref().ok_or(PasskeyError::Unavailable)
}

/// Keeps the question's state and gives out its token.
pub(super) async fn keep(
    app: &App,
    user_id: Option<&str>,
    purpose: Purpose<'_>,
    question: Option<Question>,
) -> Result<Asked, PasskeyError> {
    let question = question.ok_or(DbError::Inconsistent(
        "a passkey that the library does not take",
    ))?;
    let id = app.entropy.bytes();
    let mut connection = app.db.acquire().await?;
    store::insert_ceremony(&mut connection, &id, user_id, purpose, &question.state).await?;
    Ok(Asked {
        token: app.challenges.encode(Kind::Ceremony, id),
        options: question.options,
    })
}

/// The state of a question, once; `None` when there is none for this purpose and user.
pub(super) async fn take(
    app: &App,
    user_id: Option<&str>,
    purpose: Purpose<'_>,
    token: &str,
) -> Result<Option<Value>, DbError> {
    let Some(id) = app.challenges.decode(Kind::Ceremony, token) else {
        return Ok(None);
    };
    let mut connection = app.db.acquire().await?;
    store::take_ceremony(&mut connection, &id, user_id, purpose).await
}
