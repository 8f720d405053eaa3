//! New recovery codes in place of the old ones.

use super::recovery_code::RecoveryCode;
use super::{ChangeError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Gives out ten new codes; the old ones are worth nothing from now on.
///
/// # Errors
/// [`ChangeError`].
pub async fn replace_recovery_codes(
    app: &App,
    caller: &Caller,
    request: &RequestInfo,
) -> Result<Vec<RecoveryCode>, ChangeError> {
    let codes = RecoveryCode::generate_all(&app.entropy);
    let hashes: Vec<Vec<u8>> = codes
        .iter()
        .map(|code| code.hash(&caller.user_id).to_vec())
        .collect();
    let mut connection = app.db.acquire().await?;
    let outcome =
        store::replace_recovery_codes(&mut connection, caller, &hashes, &request.to_json()).await?;
    changed(&outcome).map(|()| codes)
}
