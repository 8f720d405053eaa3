//! Registers a passkey.

use serde_json::Value;

use super::ceremony::{self, Purpose};
use super::{PasskeyError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Checks the new credential and keeps it; its id.
///
/// # Errors
/// [`PasskeyError`].
pub async fn finish_registration(
    app: &App,
    caller: &Caller,
    token: &str,
    answer: Value,
    name: &str,
    request: &RequestInfo,
) -> Result<String, PasskeyError> {
    let party = ceremony::relying_party(app)?;
    let session_id = &caller.session_id;
    let purpose = Purpose::Registration { session_id };
    let state = ceremony::take(app, Some(&caller.user_id), purpose, token).await?;
    let state = state.ok_or(PasskeyError::ChallengeOver)?;
    let registered = party.check_registration(state, answer);
    let registered = registered.ok_or(PasskeyError::WrongAnswer)?;
    let id = app.entropy.unique_id();
    let mut connection = app.db.acquire().await?;
    let outcome = store::add_passkey(
        &mut connection,
        caller,
        &id,
        &registered,
        name,
        &request.to_json(),
    )
    .await?;
    changed(&outcome).map(|()| id)
}
