//! Switches two-factor on.

use super::recovery_code::RecoveryCode;
use super::totp::TotpSecret;
use super::{ChangeError, changed, store};
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Checks a first code, puts the secret in force and gives out recovery codes.
///
/// # Errors
/// [`ChangeError`].
pub async fn confirm_totp(
    app: &App,
    caller: &Caller,
    code: &str,
    request: &RequestInfo,
) -> Result<Vec<RecoveryCode>, ChangeError> {
    let mut connection = app.db.acquire().await?;
    let pending = store::find_pending_totp(&mut connection, &caller.user_id).await?;
    let sealed = pending.ok_or(ChangeError::NotOn)?;
    let secret = TotpSecret::open(app, &caller.user_id, &sealed).ok_or(ChangeError::Unreadable)?;
    let request = request.to_json();
    let Some(step) = secret.step_of(code, app.clock.unix().as_secs()) else {
        let (user, session) = (&caller.user_id, Some(caller.session_id.as_str()));
        store::record_refused(&mut connection, user, session, "totp", &request).await?;
        return Err(ChangeError::WrongCode);
    };
    let codes = RecoveryCode::generate_all(&app.entropy);
    let hashes: Vec<Vec<u8>> = codes
        .iter()
        .map(|code| code.hash(&caller.user_id).to_vec())
        .collect();
    let outcome = store::confirm_totp(
        &mut connection,
        caller,
        &sealed.bytes,
        step,
        &hashes,
        &request,
    )
    .await?;
    changed(&outcome).map(|()| codes)
}
