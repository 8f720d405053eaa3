//! Begins to register a passkey.

use super::ceremony::{self, Asked, Purpose};
use super::relying_party::Registrant;
use super::{PasskeyError, store};
use crate::app::App;
use crate::http::Caller;

/// Asks for a new credential. Nothing is stored but the question.
///
/// # Errors
/// [`PasskeyError`].
pub async fn begin_registration(app: &App, caller: &Caller) -> Result<Asked, PasskeyError> {
    let party = ceremony::relying_party(app)?;
    let mut connection = app.db.acquire().await?;
    let owner = store::find_owner(&mut connection, caller).await?;
    drop(connection);
    let owner = owner.ok_or(PasskeyError::SessionEnded)?;
    match owner.standing.as_str() {
        "fresh" => {}
        "stale" => return Err(PasskeyError::Stale),
        _ => return Err(PasskeyError::SessionEnded),
    }
    let question = party.ask_to_register(Registrant {
        user_id: &caller.user_id,
        email: &owner.email,
        name: owner.name.as_deref().unwrap_or(&owner.email),
        existing: owner.credential_ids,
    });
    let session_id = &caller.session_id;
    let purpose = Purpose::Registration { session_id };
    ceremony::keep(app, Some(&caller.user_id), purpose, question).await
}
