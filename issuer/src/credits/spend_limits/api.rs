//! `/api/v1/credits/spend-limits`, `/api/v1/admin/users/{id}/credits/spend-limits`.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use time::OffsetDateTime;

use super::list_spend_limits;
use super::model::{AppLimits, LimitReached, NewLimits, SpendLimit};
use super::set_spend_limits::{self, SetSpendLimitsError};
use crate::app::App;
use crate::credits::api::{SignedInOrAbsent, no_account};
use crate::credits::model::AppId;
use crate::http::problem::{
    AdminOnly, Problem, ProblemCode, Refusal, SignedIn, SpendLimitDocument, Statuses,
};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Body, Caller, RequestInfo};

/// What users allow apps.
#[derive(Debug)]
pub struct SpendLimitsApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// What admins allow apps for a user.
#[derive(Debug)]
pub struct SpendLimitsAdminApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "SpendLimitsRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct SpendLimitsRequest {
    /// Credits a day; no limit when left out.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000")))]
    day: Option<i64>,
    /// Credits a month; no limit when left out.
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000000")))]
    month: Option<i64>,
}

/// A limit, or that there is none, and what counts towards it.
#[derive(Debug, Object)]
#[oai(rename = "SpendLimit", rename_all = "camelCase")]
struct SpendLimitView {
    /// The one in force; null when there is none.
    limit: Option<i64>,
    /// Spent and held since the day or month (UTC) began.
    used: i64,
    /// When it begins anew.
    resets_at: OffsetDateTime,
    /// What the user set; it can only lower the others.
    set_by_user: Option<i64>,
    /// What an admin set for this user; it stands in place of the app's.
    set_by_admin: Option<i64>,
    /// What the app has for everybody.
    set_by_app: Option<i64>,
}

impl From<SpendLimit> for SpendLimitView {
    fn from(limit: SpendLimit) -> Self {
        Self {
            limit: limit.limit,
            used: limit.used,
            resets_at: limit.resets_at,
            set_by_user: limit.set_by_user,
            set_by_admin: limit.set_by_admin,
            set_by_app: limit.set_by_app,
        }
    }
}

/// The limits of one app.
#[derive(Debug, Object)]
#[oai(rename = "AppSpendLimits", rename_all = "camelCase")]
struct AppLimitsView {
    app_id: String,
    day: SpendLimitView,
    month: SpendLimitView,
}

impl From<AppLimits> for AppLimitsView {
    fn from(limits: AppLimits) -> Self {
        Self {
            app_id: limits.app_id,
            day: limits.day.into(),
            month: limits.month.into(),
        }
    }
}

#[OpenApi(prefix_path = "/api/v1/credits/spend-limits", tag = "Tag::Credits")]
impl SpendLimitsApi {
    /// List spend limits
    ///
    /// Of every app that has one for this user, or in which something counts towards one.
    #[oai(path = "/", method = "get", operation_id = "listSpendLimits")]
    async fn list_spend_limits(
        &self,
        caller: Caller,
    ) -> Result<Json<Vec<AppLimitsView>>, Refusal<SignedIn>> {
        let user_id = &caller.user_id;
        let limits = list_spend_limits::list_spend_limits(&self.app, user_id, None).await?;
        Ok(Json(limits.into_iter().map(AppLimitsView::from).collect()))
    }

    /// Read the spend limits of an app
    #[oai(path = "/:app_id", method = "get", operation_id = "readSpendLimits")]
    async fn read_spend_limits(
        &self,
        caller: Caller,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Json<AppLimitsView>, Refusal<SignedInOrAbsent>> {
        let app_id = known_app(&app_id.0)?;
        let user_id = &caller.user_id;
        let limits = list_spend_limits::list_spend_limits(&self.app, user_id, Some(&app_id));
        let limits = limits.await?.into_iter().next().ok_or_else(no_account)?;
        Ok(Json(limits.into()))
    }

    /// Set what an app may spend
    ///
    /// For oneself. It can only lower what the app or an admin allows.
    #[oai(path = "/:app_id", method = "put", operation_id = "setSpendLimits")]
    async fn set_spend_limits(
        &self,
        caller: Caller,
        /// The app.
        app_id: Path<String>,
        body: Body<SpendLimitsRequest>,
    ) -> Result<Json<AppLimitsView>, Refusal<Limiting>> {
        let (app_id, new) = (known_app(&app_id.0)?, body.0.into());
        let user_id = &caller.user_id;
        let limits = set_spend_limits::set_spend_limits(&self.app, user_id, &app_id, new).await?;
        Ok(Json(limits.into()))
    }
}

#[OpenApi(prefix_path = "/api/v1/admin/users", tag = "Tag::Admin")]
impl SpendLimitsAdminApi {
    /// Read what an app may spend of a user's credits
    #[oai(
        path = "/:id/credits/spend-limits/:app_id",
        method = "get",
        operation_id = "readUserSpendLimits"
    )]
    async fn read_user_spend_limits(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        /// The app.
        app_id: Path<String>,
    ) -> Result<Json<AppLimitsView>, Refusal<AdminOnly>> {
        self.administer(&caller, &id.0, &app_id.0, None, &request)
            .await
    }

    /// Set what an app may spend of a user's credits
    ///
    /// In place of the app's own limit, above or below it.
    #[oai(
        path = "/:id/credits/spend-limits/:app_id",
        method = "put",
        operation_id = "setUserSpendLimits"
    )]
    async fn set_user_spend_limits(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        /// The app.
        app_id: Path<String>,
        body: Body<SpendLimitsRequest>,
    ) -> Result<Json<AppLimitsView>, Refusal<AdminOnly>> {
        let new = Some(body.0.into());
        self.administer(&caller, &id.0, &app_id.0, new, &request)
            .await
    }
}

impl SpendLimitsAdminApi {
    async fn administer(
        &self,
        caller: &AdminCaller,
        id: &str,
        app_id: &str,
        new: Option<NewLimits>,
        request: &RequestInfo,
    ) -> Result<Json<AppLimitsView>, Refusal<AdminOnly>> {
        let (id, app_id) = (crate::admin::user_id(id)?, known_app(app_id)?);
        let limits = set_spend_limits::administer_spend_limits(
            &self.app, &caller.0, id, &app_id, new, request,
        )
        .await?;
        Ok(Json(limits.into()))
    }
}

impl From<SpendLimitsRequest> for NewLimits {
    fn from(request: SpendLimitsRequest) -> Self {
        Self {
            day: request.day,
            month: request.month,
        }
    }
}

/// What cannot be an app's id names none.
fn known_app(text: &str) -> Result<AppId, Problem> {
    AppId::parse(text).ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

/// Refusals of setting one's own limits.
#[derive(Debug)]
struct Limiting;
impl Statuses for Limiting {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

impl From<SetSpendLimitsError> for Problem {
    fn from(error: SetSpendLimitsError) -> Self {
        match error {
            SetSpendLimitsError::TooManyLimits => Self::with_detail(
                ProblemCode::Conflict,
                "As many apps have limits as may: 100. Take one away first.",
            ),
            SetSpendLimitsError::Refused(refused) => refused.into(),
        }
    }
}

impl From<LimitReached> for Problem {
    fn from(reached: LimitReached) -> Self {
        Self::spend_limit_reached(SpendLimitDocument {
            period: reached.period.name().into(),
            limit: reached.limit,
            used: reached.used,
            resets_at: reached.resets_at,
        })
    }
}
