//! The same acts from the command line, by a login that may migrate: the issuer's own may not.

use sqlx::PgConnection;

use super::act::new_secret;
use super::list::MAX_LISTED;
use super::model::{AppAct, AppListing, NewCredential, ServiceListing};
use super::{seal, store};
use crate::admin::Refused;
use crate::app::App;
use crate::db::DbError;
use crate::secret::{SecretText, sha256};

/// Does an act on an app; answers the webhook secret it made.
///
/// # Errors
/// [`Refused`].
pub async fn act_on_app(
    app: &App,
    connection: &mut PgConnection,
    app_id: &str,
    act: &AppAct,
) -> Result<Option<SecretText>, Refused> {
    let made = act
        .makes_secret()
        .then(|| seal::webhook_secret(app, app_id));
    let sealed = made.as_ref().map(|(_, sealed)| sealed.as_slice());
    let outcome = store::operate(connection, act.name(), app_id, &act.fields(), sealed).await?;
    Refused::unless_done(&outcome)?;
    Ok(made.map(|(secret, _)| secret))
}

/// All apps, or the one of this id.
///
/// # Errors
/// [`DbError`].
pub async fn list_apps(
    connection: &mut PgConnection,
    app_id: Option<&str>,
) -> Result<Vec<AppListing>, DbError> {
    store::list_apps(connection, app_id, MAX_LISTED.into()).await
}

/// Makes a credential; answers its id and its secret.
///
/// # Errors
/// [`Refused`].
pub async fn create_credential(
    app: &App,
    connection: &mut PgConnection,
    new: &NewCredential,
) -> Result<(String, SecretText), Refused> {
    let (id, secret) = new_secret(app);
    let hash = sha256(secret.expose().as_bytes());
    let outcome = store::operate(
        connection,
        "create_service",
        &id,
        &new.to_json(),
        Some(&hash),
    )
    .await?;
    Refused::unless_done(&outcome)?;
    Ok((id, secret))
}

/// All credentials, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list_credentials(
    connection: &mut PgConnection,
) -> Result<Vec<ServiceListing>, DbError> {
    store::operator_list_services(connection, MAX_LISTED.into()).await
}

/// Makes a credential void.
///
/// # Errors
/// [`Refused`].
pub async fn revoke_credential(connection: &mut PgConnection, id: &str) -> Result<(), Refused> {
    let nothing = serde_json::json!({});
    let outcome = store::operate(connection, "revoke_service", id, &nothing, None).await?;
    Refused::unless_done(&outcome)
}
