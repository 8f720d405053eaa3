//! Changing apps and service credentials.

use serde_json::Value;

use super::model::{AppAct, NewCredential, SECRET_PREFIX};
use super::{seal, store};
use crate::admin::Refused;
use crate::app::App;
use crate::http::{Caller, RequestInfo};
use crate::secret::{SecretText, base64url, sha256};

/// Does it if the caller is an admin who signed in lately; answers the webhook secret it made.
///
/// # Errors
/// [`Refused`].
pub async fn act_on_app(
    app: &App,
    caller: &Caller,
    app_id: &str,
    act: &AppAct,
    request: &RequestInfo,
) -> Result<Option<SecretText>, Refused> {
    let made = act
        .makes_secret()
        .then(|| seal::webhook_secret(app, app_id));
    let sealed = made.as_ref().map(|(_, sealed)| sealed.as_slice());
    apply(
        app,
        caller,
        act.name(),
        app_id,
        &act.fields(),
        sealed,
        request,
    )
    .await?;
    Ok(made.map(|(secret, _)| secret))
}

/// Makes a credential; answers its id and its secret, which nobody learns again.
///
/// # Errors
/// [`Refused`]; `NotFound` when there is no such app or it is disabled.
pub async fn create_credential(
    app: &App,
    caller: &Caller,
    new: &NewCredential,
    request: &RequestInfo,
) -> Result<(String, SecretText), Refused> {
    let (id, secret) = new_secret(app);
    let hash = sha256(secret.expose().as_bytes());
    let fields = new.to_json();
    apply(
        app,
        caller,
        "create_service",
        &id,
        &fields,
        Some(&hash),
        request,
    )
    .await?;
    Ok((id, secret))
}

/// Makes a credential void.
///
/// # Errors
/// [`Refused`].
pub async fn revoke_credential(
    app: &App,
    caller: &Caller,
    id: &str,
    request: &RequestInfo,
) -> Result<(), Refused> {
    let nothing = serde_json::json!({});
    apply(app, caller, "revoke_service", id, &nothing, None, request).await
}

/// A fresh id and secret.
pub(super) fn new_secret(app: &App) -> (String, SecretText) {
    let secret = format!("{SECRET_PREFIX}{}", base64url(&app.entropy.bytes::<32>()));
    (app.entropy.unique_id(), SecretText::new(secret))
}

async fn apply(
    app: &App,
    caller: &Caller,
    name: &str,
    id: &str,
    fields: &Value,
    secret: Option<&[u8]>,
    request: &RequestInfo,
) -> Result<(), Refused> {
    let mut connection = app.db.acquire().await?;
    let request = request.to_json();
    let outcome = store::act(&mut connection, caller, name, id, fields, secret, &request).await?;
    Refused::unless_done(&outcome)
}
