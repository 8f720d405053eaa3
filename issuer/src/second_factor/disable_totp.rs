//! Switches two-factor off.

use super::{ChangeError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Forgets the secret and the recovery codes. Passkeys stay.
///
/// # Errors
/// [`ChangeError`].
pub async fn disable_totp(
    app: &App,
    caller: &Caller,
    request: &RequestInfo,
) -> Result<(), ChangeError> {
    let mut connection = app.db.acquire().await?;
    let outcome = store::disable_totp(&mut connection, caller, &request.to_json()).await?;
    changed(&outcome)
}
