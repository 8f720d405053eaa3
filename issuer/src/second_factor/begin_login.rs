//! After the right password: asks for the second factor.

use super::challenge_token::Kind;
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::http::RequestInfo;
use crate::secret::SecretText;
use crate::sessions::NewSession;

/// What a client answers with a second factor.
#[derive(Debug)]
pub struct LoginChallenge {
    /// Stands for the right password, for five minutes and five attempts.
    pub token: SecretText,
    /// The second factors that can follow: `totp`, `recovery_code`, `passkey`.
    pub methods: Vec<String>,
}

/// Remembers the session to open once the second factor has been shown; `None` when the
/// credential that was checked is no longer in force.
///
/// # Errors
/// [`DbError`].
pub async fn begin_login(
    app: &App,
    new: &NewSession<'_>,
    request: &RequestInfo,
) -> Result<Option<LoginChallenge>, DbError> {
    let id = app.entropy.bytes();
    let mut connection = app.db.acquire().await?;
    let methods =
        store::begin_login_challenge(&mut connection, &id, new, &request.to_json()).await?;
    Ok(methods.map(|methods| LoginChallenge {
        token: app.challenges.encode(Kind::Login, id),
        methods,
    }))
}
