//! `/api/v1/admin/apps`, `/api/v1/admin/service-credentials`.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::model::{AppAct, AppFields, AppListing, NewCredential, ServiceListing, is_app_id};
use super::{act, list};
use crate::app::App;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Body, RequestInfo};
use crate::outgoing::Reach;

/// Apps and service credentials, for admins.
#[derive(Debug)]
pub struct AppsApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A program that users spend credits in and return to.
#[derive(Debug, Object)]
#[oai(rename = "App", rename_all = "camelCase")]
struct AppView {
    app_id: String,
    name: String,
    audiences: Vec<String>,
    return_origins: Vec<String>,
    /// Credits one user may spend in it a day.
    spend_limit_day: Option<i64>,
    /// Credits one user may spend in it a month.
    spend_limit_month: Option<i64>,
    webhook_url: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    disabled_at: Option<OffsetDateTime>,
}

impl From<AppListing> for AppView {
    fn from(app: AppListing) -> Self {
        Self {
            app_id: app.app_id,
            name: app.name,
            audiences: app.audiences,
            return_origins: app.return_origins,
            spend_limit_day: app.spend_limit_day,
            spend_limit_month: app.spend_limit_month,
            webhook_url: app.webhook_url,
            created_at: app.created_at,
            updated_at: app.updated_at,
            disabled_at: app.disabled_at,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "AppRequest", rename_all = "camelCase", deny_unknown_fields)]
struct AppRequest {
    /// 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first.
    app_id: String,
    name: String,
    #[oai(default)]
    audiences: Vec<String>,
    #[oai(default)]
    return_origins: Vec<String>,
    spend_limit_day: Option<i64>,
    spend_limit_month: Option<i64>,
    webhook_url: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "AppUpdate", rename_all = "camelCase", deny_unknown_fields)]
struct AppUpdate {
    name: String,
    #[oai(default)]
    audiences: Vec<String>,
    #[oai(default)]
    return_origins: Vec<String>,
    spend_limit_day: Option<i64>,
    spend_limit_month: Option<i64>,
    webhook_url: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "AppCreated", rename_all = "camelCase")]
struct CreatedApp {
    app: AppView,
    /// Signs what is sent to `webhookUrl`. Shown once.
    webhook_secret: String,
}

#[derive(Debug, Object)]
#[oai(rename = "AppAnswer")]
struct AppAnswer {
    app: AppView,
}

#[derive(Debug, Object)]
#[oai(rename = "WebhookSecret", rename_all = "camelCase")]
struct WebhookSecret {
    /// Signs what is sent to `webhookUrl` from now on. Shown once.
    webhook_secret: String,
}

/// A credential of a service.
#[derive(Debug, Object)]
#[oai(rename = "ServiceCredential", rename_all = "camelCase")]
struct ServiceView {
    id: String,
    name: String,
    app_id: Option<String>,
    scopes: Vec<String>,
    created_at: OffsetDateTime,
    /// To the minute.
    last_used_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
}

impl From<ServiceListing> for ServiceView {
    fn from(service: ServiceListing) -> Self {
        Self {
            id: service.id,
            name: service.name,
            app_id: service.app_id,
            scopes: service.scopes,
            created_at: service.created_at,
            last_used_at: service.last_used_at,
            expires_at: service.expires_at,
            revoked_at: service.revoked_at,
        }
    }
}

#[derive(Debug, Object)]
#[oai(
    rename = "ServiceCredentialRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct ServiceRequest {
    name: String,
    /// The app it belongs to.
    app_id: String,
    /// What it may do: `credits:hold`.
    scopes: Vec<String>,
    /// Lasts until it is revoked when left out.
    expires_at: Option<OffsetDateTime>,
}

#[derive(Debug, Object)]
#[oai(rename = "ServiceCredentialCreated", rename_all = "camelCase")]
struct CreatedService {
    id: String,
    /// Goes into `Authorization: Bearer …`. Shown once.
    secret: String,
}

#[derive(Debug, ApiResponse)]
enum Created<T: poem_openapi::types::ToJSON> {
    /// Made.
    #[oai(status = 201)]
    Created(Json<T>),
}

#[derive(Debug, ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Admin")]
impl AppsApi {
    /// List apps
    #[oai(path = "/apps", method = "get", operation_id = "listApps")]
    async fn list_apps(
        &self,
        caller: AdminCaller,
    ) -> Result<Json<Vec<AppView>>, Refusal<AdminOnly>> {
        let apps = list::list_apps(&self.app, &caller.0, None).await?;
        Ok(Json(apps.into_iter().map(AppView::from).collect()))
    }

    /// Create an app
    #[oai(path = "/apps", method = "post", operation_id = "createApp")]
    async fn create_app(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        body: Body<AppRequest>,
    ) -> Result<Created<CreatedApp>, Refusal<AdminOnly>> {
        let (app_id, fields) = body.0.check(self.app.outgoing.reach())?;
        let create = AppAct::Create(fields);
        let secret = act::act_on_app(&self.app, &caller.0, &app_id, &create, &request).await?;
        Ok(Created::Created(Json(CreatedApp {
            app: self.load(&caller, &app_id).await?,
            webhook_secret: secret.map_or_else(String::new, |secret| secret.expose().into()),
        })))
    }

    /// Read an app
    #[oai(path = "/apps/:app_id", method = "get", operation_id = "readApp")]
    async fn read_app(
        &self,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Json<AppAnswer>, Refusal<AdminOnly>> {
        let app = self.load(&caller, known_id(&app_id.0)?).await?;
        Ok(Json(AppAnswer { app }))
    }

    /// Set an app
    ///
    /// All fields: what is left out is cleared.
    #[oai(path = "/apps/:app_id", method = "put", operation_id = "updateApp")]
    async fn update_app(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
        body: Body<AppUpdate>,
    ) -> Result<Json<AppAnswer>, Refusal<AdminOnly>> {
        let id = known_id(&app_id.0)?;
        let update = AppAct::Update(checked(body.0.into(), self.app.outgoing.reach())?);
        act::act_on_app(&self.app, &caller.0, id, &update, &request).await?;
        let app = self.load(&caller, id).await?;
        Ok(Json(AppAnswer { app }))
    }

    /// Disable an app
    ///
    /// Its services are refused from this moment.
    #[oai(
        path = "/apps/:app_id/disable",
        method = "post",
        operation_id = "disableApp"
    )]
    async fn disable_app(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let id = known_id(&app_id.0)?;
        act::act_on_app(&self.app, &caller.0, id, &AppAct::Disable, &request).await?;
        Ok(Done::Done)
    }

    /// Enable an app again
    #[oai(
        path = "/apps/:app_id/enable",
        method = "post",
        operation_id = "enableApp"
    )]
    async fn enable_app(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let id = known_id(&app_id.0)?;
        act::act_on_app(&self.app, &caller.0, id, &AppAct::Enable, &request).await?;
        Ok(Done::Done)
    }

    /// Make another webhook secret
    ///
    /// The one before signs beside it for 24 hours.
    #[oai(
        path = "/apps/:app_id/webhook-secret",
        method = "post",
        operation_id = "rotateWebhookSecret"
    )]
    async fn rotate_webhook_secret(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Json<WebhookSecret>, Refusal<AdminOnly>> {
        let id = known_id(&app_id.0)?;
        let rotate = AppAct::RotateWebhookSecret;
        let secret = act::act_on_app(&self.app, &caller.0, id, &rotate, &request).await?;
        Ok(Json(WebhookSecret {
            webhook_secret: secret.map_or_else(String::new, |secret| secret.expose().into()),
        }))
    }

    /// List service credentials
    ///
    /// Newest first, revoked ones included.
    #[oai(
        path = "/service-credentials",
        method = "get",
        operation_id = "listServiceCredentials"
    )]
    async fn list_credentials(
        &self,
        caller: AdminCaller,
    ) -> Result<Json<Vec<ServiceView>>, Refusal<AdminOnly>> {
        let listed = list::list_credentials(&self.app, &caller.0).await?;
        Ok(Json(listed.into_iter().map(ServiceView::from).collect()))
    }

    /// Create a service credential
    #[oai(
        path = "/service-credentials",
        method = "post",
        operation_id = "createServiceCredential"
    )]
    async fn create_credential(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        body: Body<ServiceRequest>,
    ) -> Result<Created<CreatedService>, Refusal<AdminOnly>> {
        let new = body.0.check(self.app.clock.now())?;
        let (id, secret) = act::create_credential(&self.app, &caller.0, &new, &request).await?;
        Ok(Created::Created(Json(CreatedService {
            id,
            secret: secret.expose().into(),
        })))
    }

    /// Revoke a service credential
    #[oai(
        path = "/service-credentials/:id",
        method = "delete",
        operation_id = "revokeServiceCredential"
    )]
    async fn revoke_credential(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The credential.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        if id.0.contains('\0') {
            return Err(Problem::new(ProblemCode::NotFound).into());
        }
        act::revoke_credential(&self.app, &caller.0, &id.0, &request).await?;
        Ok(Done::Done)
    }
}

impl AppsApi {
    async fn load(&self, caller: &AdminCaller, app_id: &str) -> Result<AppView, Problem> {
        let found = list::list_apps(&self.app, &caller.0, Some(app_id)).await?;
        let app = found.into_iter().next();
        app.map(AppView::from)
            .ok_or_else(|| Problem::new(ProblemCode::NotFound))
    }
}

impl From<AppUpdate> for AppFields {
    fn from(body: AppUpdate) -> Self {
        Self {
            name: body.name,
            audiences: body.audiences,
            return_origins: body.return_origins,
            spend_limit_day: body.spend_limit_day,
            spend_limit_month: body.spend_limit_month,
            webhook_url: body.webhook_url,
        }
    }
}

impl AppRequest {
    fn check(self, reach: Reach) -> Result<(String, AppFields), Problem> {
        let fields = AppFields {
            name: self.name,
            audiences: self.audiences,
            return_origins: self.return_origins,
            spend_limit_day: self.spend_limit_day,
            spend_limit_month: self.spend_limit_month,
            webhook_url: self.webhook_url,
        };
        let mut problems = fields.problems(reach);
        if !is_app_id(&self.app_id) {
            problems.push((
                "appId",
                "must be 1 to 64 letters, digits, dots, underscores and hyphens",
            ));
        }
        refuse(problems).map(|()| (self.app_id, fields))
    }
}

impl ServiceRequest {
    fn check(self, now: OffsetDateTime) -> Result<NewCredential, Problem> {
        let new = NewCredential {
            name: self.name,
            app_id: self.app_id,
            scopes: self.scopes,
            expires_at: self.expires_at,
        };
        refuse(new.problems(now)).map(|()| new)
    }
}

fn checked(fields: AppFields, reach: Reach) -> Result<AppFields, Problem> {
    refuse(fields.problems(reach)).map(|()| fields)
}

fn refuse(problems: Vec<(&'static str, &'static str)>) -> Result<(), Problem> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Problem::validation(
            problems
                .into_iter()
                .map(|(field, message)| FieldError::new(field, message))
                .collect(),
        )),
    }
}

/// What cannot be an id names nothing.
fn known_id(text: &str) -> Result<&str, Problem> {
    is_app_id(text)
        .then_some(text)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound))
}
