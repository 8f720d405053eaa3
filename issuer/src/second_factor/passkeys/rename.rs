//! Gives a passkey another name.

use super::{PasskeyError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Renames one of the caller's passkeys.
///
/// # Errors
/// [`PasskeyError`].
pub async fn rename(
    app: &App,
    caller: &Caller,
    id: &str,
    name: &str,
    request: &RequestInfo,
) -> Result<(), PasskeyError> {
    let mut connection = app.db.acquire().await?;
    let outcome =
        store::rename_passkey(&mut connection, caller, id, name, &request.to_json()).await?;
    changed(&outcome)
}
