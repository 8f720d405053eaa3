//! Forgets a passkey.

use super::{PasskeyError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Removes one of the caller's passkeys; a sign-in under way with it opens no session.
///
/// # Errors
/// [`PasskeyError`].
pub async fn remove(
    app: &App,
    caller: &Caller,
    id: &str,
    request: &RequestInfo,
) -> Result<(), PasskeyError> {
    let mut connection = app.db.acquire().await?;
    let outcome = store::remove_passkey(&mut connection, caller, id, &request.to_json()).await?;
    changed(&outcome)
}
