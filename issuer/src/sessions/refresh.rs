//! Refresh: a spent token for its successor.

use super::access_token;
use super::model::{TokenSubject, Tokens};
use super::store::{self, RefreshRow};
use crate::app::App;
use crate::db::DbError;
use crate::http::RequestInfo;
use crate::metrics::OutcomeLabel;

/// Answers a presented refresh token.
///
/// # Errors
/// [`RefreshError`]; the session has been ended with [`RefreshError::Reused`].
pub async fn refresh(
    app: &App,
    presented: &str,
    request: &RequestInfo,
) -> Result<Tokens, RefreshError> {
    let result = rotate(app, presented, request).await;
    if let Err(RefreshError::NoSigningKey | RefreshError::Db(_)) = &result {
        count(app, "failed");
    }
    result
}

fn count(app: &App, outcome: &'static str) {
    let label = OutcomeLabel { outcome };
    app.metrics.refreshes.get_or_create(&label).inc();
}

async fn rotate(app: &App, presented: &str, request: &RequestInfo) -> Result<Tokens, RefreshError> {
    let Some(token) = app.refresh_tokens.decode(presented) else {
        count(app, "garbage");
        return Err(RefreshError::NotOurs);
    };
    let signer = access_token::signer(app).ok_or(RefreshError::NoSigningKey)?;
    let session_id = token.session_id_text();
    let mut connection = app.db.acquire().await?;
    let nonce_hash = token.nonce_hash();
    let row = store::refresh_session(
        &mut connection,
        &session_id,
        token.counter,
        &nonce_hash,
        &app.config.tokens,
        &request.to_json(),
    )
    .await?;
    connection.finish();
    let outcome = Outcome::parse(&row.outcome)
        .ok_or(DbError::Inconsistent("refresh outcome of unknown name"))?;
    count(app, outcome.name());
    match outcome {
        Outcome::Unknown => Err(RefreshError::NotOurs),
        Outcome::Ended => Err(RefreshError::Ended),
        Outcome::Reused => {
            tracing::warn!(
                request.id,
                "a refresh token was used again; its session has been ended"
            );
            app.feed.sessions_ended([session_id]);
            Err(RefreshError::Reused)
        }
        Outcome::Rotated | Outcome::Repeated | Outcome::Forked | Outcome::Ahead => {
            let (counter, subject) =
                answer(row, session_id).ok_or(DbError::Inconsistent("refresh without a user"))?;
            Ok(Tokens {
                access_token: access_token::issue(app, &signer, subject),
                refresh_token: app.refresh_tokens.encode(&token.with_counter(counter)),
                expires_in_secs: app.config.tokens.access_ttl_secs,
            })
        }
    }
}

fn answer(row: RefreshRow, session_id: String) -> Option<(i64, TokenSubject)> {
    let subject = TokenSubject {
        user_id: row.user_id?,
        session_id,
        email: row.email?,
        email_verified: row.email_verified?,
        role: row.role?,
        cutoff: row.token_cutoff?,
        actor: None,
    };
    Some((row.counter?, subject))
}

/// What `auth.refresh_session` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Rotated,
    Repeated,
    Forked,
    Ahead,
    Ended,
    Reused,
    Unknown,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Rotated,
        Self::Repeated,
        Self::Forked,
        Self::Ahead,
        Self::Ended,
        Self::Reused,
        Self::Unknown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Repeated => "repeated",
            Self::Forked => "forked",
            Self::Ahead => "ahead",
            Self::Ended => "ended",
            Self::Reused => "reused",
            Self::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// Why a refresh was refused.
#[derive(Debug)]
pub enum RefreshError {
    /// Not a token we made, or its session is long gone.
    NotOurs,
    /// The session was revoked or has expired.
    Ended,
    /// The token had been used before; the session has been ended now.
    Reused,
    /// No signing key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for RefreshError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
