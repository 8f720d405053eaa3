//! `/api/v1/auth/passkeys`: register, list, rename, remove, sign in.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;

use super::sign_in::SignInAnswer;
use super::store::PasskeyRow;
use super::{PasskeyError, begin_registration, finish_registration, list, remove, rename, sign_in};
use crate::accounts::LoginAnswer;
use crate::app::App;
use crate::http::cookies::{Browser, SignInMode};
use crate::http::problem::{Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, RequestInfo};
use crate::second_factor::OptionsView;

/// Passkeys.
#[derive(Debug)]
pub struct PasskeysApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "RegisterPasskeyRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct RegisterPasskeyRequest {
    /// The token that came with the options.
    #[oai(validator(max_length = 128))]
    ceremony_token: String,
    /// What `navigator.credentials.create` gave, as `toJSON()` writes it.
    credential: Any<Value>,
    /// What to call the passkey.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

#[derive(Debug, Object)]
#[oai(
    rename = "PasskeySignInRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct PasskeySignInRequest {
    /// The token that came with the options.
    #[oai(validator(max_length = 128))]
    ceremony_token: String,
    /// What `navigator.credentials.get` gave, as `toJSON()` writes it.
    credential: Any<Value>,
    /// The app's name for this device; a new sign-in with it replaces the old session.
    #[oai(validator(min_length = 1, max_length = 128))]
    device_id: Option<String>,
    /// What this device is called in the list of sessions.
    #[oai(validator(min_length = 1, max_length = 100))]
    device_name: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "RenamePasskeyRequest", deny_unknown_fields)]
struct RenamePasskeyRequest {
    /// What to call the passkey.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

/// A passkey.
#[derive(Debug, Object)]
#[oai(rename = "Passkey", rename_all = "camelCase")]
struct PasskeyView {
    id: String,
    name: String,
    /// Whether it is backed up or shared between devices.
    synced: bool,
    created_at: OffsetDateTime,
    last_used_at: Option<OffsetDateTime>,
}

#[derive(Debug, Object)]
#[oai(rename = "PasskeyId")]
struct PasskeyId {
    id: String,
}

#[derive(Debug, ApiResponse)]
enum Registered {
    /// The passkey has been registered.
    #[oai(status = 201)]
    Created(Json<PasskeyId>),
}

#[derive(Debug, ApiResponse)]
enum Changed {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/auth/passkeys", tag = "Tag::SecondFactor")]
impl PasskeysApi {
    /// Begin to register a passkey
    ///
    /// Needs a sign-in within ten minutes.
    #[oai(
        path = "/registration-options",
        method = "post",
        operation_id = "beginPasskey"
    )]
    async fn begin_passkey(&self, caller: Caller) -> Result<Json<OptionsView>, Refusal<Keeping>> {
        let asked = begin_registration::begin_registration(&self.app, &caller).await?;
        Ok(Json(asked.into()))
    }

    /// Register a passkey
    #[oai(path = "/", method = "post", operation_id = "registerPasskey")]
    async fn register_passkey(
        &self,
        request: RequestInfo,
        caller: Caller,
        body: Body<RegisterPasskeyRequest>,
    ) -> Result<Registered, Refusal<Keeping>> {
        let RegisterPasskeyRequest {
            ceremony_token,
            credential,
            name,
        } = body.0;
        let registering = finish_registration::finish_registration(
            &self.app,
            &caller,
            &ceremony_token,
            credential.0,
            &name,
            &request,
        );
        let id = registering.await?;
        Ok(Registered::Created(Json(PasskeyId { id })))
    }

    /// List passkeys
    #[oai(path = "/", method = "get", operation_id = "listPasskeys")]
    async fn list_passkeys(
        &self,
        caller: Caller,
    ) -> Result<Json<Vec<PasskeyView>>, Refusal<SignedIn>> {
        let passkeys = list::list(&self.app, &caller).await?;
        let passkeys = passkeys.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(Json(passkeys.into_iter().map(PasskeyView::from).collect()))
    }

    /// Rename a passkey
    #[oai(path = "/:id", method = "patch", operation_id = "renamePasskey")]
    async fn rename_passkey(
        &self,
        request: RequestInfo,
        caller: Caller,
        /// The passkey.
        id: Path<String>,
        body: Body<RenamePasskeyRequest>,
    ) -> Result<Changed, Refusal<Keeping>> {
        rename::rename(&self.app, &caller, &id.0, &body.0.name, &request).await?;
        Ok(Changed::Done)
    }

    /// Remove a passkey
    ///
    /// Needs a sign-in within ten minutes.
    #[oai(path = "/:id", method = "delete", operation_id = "removePasskey")]
    async fn remove_passkey(
        &self,
        request: RequestInfo,
        caller: Caller,
        /// The passkey.
        id: Path<String>,
    ) -> Result<Changed, Refusal<Keeping>> {
        remove::remove(&self.app, &caller, &id.0, &request).await?;
        Ok(Changed::Done)
    }

    /// Begin to sign in with a passkey
    ///
    /// No name is asked for: the authenticator knows whose passkeys it holds.
    #[oai(
        path = "/sign-in/options",
        method = "post",
        operation_id = "beginPasskeySignIn"
    )]
    async fn begin_sign_in(&self) -> Result<Json<OptionsView>, Refusal<Keeping>> {
        Ok(Json(sign_in::begin_sign_in(&self.app).await?.into()))
    }

    /// Sign in with a passkey
    ///
    /// The authenticator verified its user, so this is enough with two-factor on too.
    #[oai(path = "/sign-in", method = "post", operation_id = "passkeySignIn")]
    async fn sign_in(
        &self,
        request: RequestInfo,
        browser: Browser,
        /// `cookie` keeps the tokens in cookies.
        mode: Query<Option<SignInMode>>,
        body: Body<PasskeySignInRequest>,
    ) -> Result<Response<Json<LoginAnswer>>, Refusal<Keeping>> {
        let delivery = browser.delivery(mode.0)?;
        let opened = sign_in::sign_in(&self.app, body.0.into(), &request).await?;
        Ok(LoginAnswer::deliver(opened, delivery))
    }
}

impl From<PasskeySignInRequest> for SignInAnswer {
    fn from(request: PasskeySignInRequest) -> Self {
        Self {
            token: request.ceremony_token,
            credential: request.credential.0,
            device_id: request.device_id,
            device_name: request.device_name,
        }
    }
}

impl From<PasskeyRow> for PasskeyView {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            synced: row.synced,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// Refusals of an operation on passkeys.
struct Keeping;
impl Statuses for Keeping {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

impl From<PasskeyError> for Problem {
    fn from(error: PasskeyError) -> Self {
        let said = Self::with_detail;
        match error {
            PasskeyError::Unavailable => said(
                ProblemCode::NotFound,
                "This issuer has no passkeys: its BASE_URL is an address.",
            ),
            PasskeyError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            PasskeyError::Stale => Self::new(ProblemCode::ReauthenticationRequired),
            PasskeyError::ChallengeOver => said(
                ProblemCode::InvalidCredentials,
                "The challenge is used up or has expired: ask again.",
            ),
            PasskeyError::WrongAnswer => said(
                ProblemCode::InvalidCredentials,
                "The passkey's answer is not accepted.",
            ),
            PasskeyError::Taken => {
                said(ProblemCode::Conflict, "This passkey is registered already.")
            }
            PasskeyError::Full => said(
                ProblemCode::Conflict,
                "There are 20 passkeys: remove one first.",
            ),
            PasskeyError::NotFound => Self::new(ProblemCode::NotFound),
            PasskeyError::NoSigningKey => Self::new(ProblemCode::Unavailable),
            PasskeyError::Db(error) => error.into(),
        }
    }
}
