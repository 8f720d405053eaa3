//! `/api/v1/settings`.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use super::change_settings::{Change, ChangeSettingsError, change_settings};
use super::load_settings::load_settings;
use super::model::{AppId, Patch, Settings};
use crate::app::App;
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, IfMatch, etag_of_version};

/// Settings.
#[derive(Debug)]
pub struct SettingsApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// What the user has set.
#[derive(Debug, Object)]
#[oai(rename = "Settings")]
struct SettingsView {
    /// For everywhere.
    global: Any<Value>,
    /// For each app, by its id; each adds to those for everywhere.
    apps: Any<Value>,
    /// Raised by every change; the `ETag` is this number in quotes.
    version: i64,
}

#[derive(Debug, ApiResponse)]
enum SettingsAnswer {
    /// The settings as they are now.
    #[oai(status = 200)]
    Settings(
        Json<SettingsView>,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

impl From<Settings> for SettingsAnswer {
    fn from(settings: Settings) -> Self {
        let etag = etag_of_version(settings.version);
        let view = SettingsView {
            global: Any(settings.global),
            apps: Any(settings.apps),
            version: settings.version,
        };
        Self::Settings(Json(view), etag)
    }
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Settings")]
impl SettingsApi {
    /// Read the settings
    #[oai(path = "/settings", method = "get", operation_id = "readSettings")]
    async fn read_settings(&self, caller: Caller) -> Result<SettingsAnswer, Refusal<SignedIn>> {
        let settings = load_settings(&self.app, &caller).await?;
        let settings = settings.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(settings.into())
    }

    /// Change the settings for everywhere
    ///
    /// Each member replaces the one of its name; null removes it; others stay.
    #[oai(
        path = "/settings/global",
        method = "patch",
        operation_id = "changeGlobalSettings"
    )]
    async fn change_global_settings(
        &self,
        caller: Caller,
        condition: IfMatch,
        body: Body<BTreeMap<String, Value>>,
    ) -> Result<SettingsAnswer, Refusal<Changing>> {
        let change = Change::Global(patch(body.0)?);
        let settings = change_settings(&self.app, &caller, &change, &condition).await?;
        Ok(settings.into())
    }

    /// Change the settings of one app
    ///
    /// As for everywhere. The app need not be registered.
    #[oai(
        path = "/settings/app/:app_id",
        method = "patch",
        operation_id = "changeAppSettings"
    )]
    async fn change_app_settings(
        &self,
        caller: Caller,
        condition: IfMatch,
        /// The app.
        app_id: Path<String>,
        body: Body<BTreeMap<String, Value>>,
    ) -> Result<SettingsAnswer, Refusal<Changing>> {
        let change = Change::App(app(&app_id.0)?, patch(body.0)?);
        let settings = change_settings(&self.app, &caller, &change, &condition).await?;
        Ok(settings.into())
    }

    /// Remove the settings of one app
    ///
    /// Removing what is not there changes nothing and is answered alike.
    #[oai(
        path = "/settings/app/:app_id",
        method = "delete",
        operation_id = "resetAppSettings"
    )]
    async fn reset_app_settings(
        &self,
        caller: Caller,
        condition: IfMatch,
        /// The app.
        app_id: Path<String>,
    ) -> Result<SettingsAnswer, Refusal<Changing>> {
        let change = Change::Reset(app(&app_id.0)?);
        let settings = change_settings(&self.app, &caller, &change, &condition).await?;
        Ok(settings.into())
    }
}

fn patch(members: BTreeMap<String, Value>) -> Result<Patch, Problem> {
    Patch::parse(members.into_iter().collect())
        .ok_or_else(|| invalid("", "must not be nested more than 8 levels deep"))
}

fn app(text: &str) -> Result<AppId, Problem> {
    let expected =
        "must be 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first";
    AppId::parse(text).ok_or_else(|| invalid("app_id", expected))
}

fn invalid(field: &str, expected: &str) -> Problem {
    Problem::validation(vec![FieldError::new(field, expected)])
}

/// Refusals of a conditional change.
struct Changing;
impl Statuses for Changing {
    const EXTRA: &'static [u16] = &[401, 412];
}

impl From<ChangeSettingsError> for Problem {
    fn from(error: ChangeSettingsError) -> Self {
        match error {
            ChangeSettingsError::Changed => Self::new(ProblemCode::PreconditionFailed),
            ChangeSettingsError::TooLarge => invalid(
                "",
                "would make all settings together longer than 16384 bytes",
            ),
            ChangeSettingsError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            ChangeSettingsError::Db(error) => error.into(),
        }
    }
}
