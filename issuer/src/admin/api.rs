//! `/api/v1/admin/users`.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::model::{Act, Refused, UserFilter, UserListing};
use super::{act, impersonate, list_users, load_user};
use crate::app::App;
use crate::http::problem::{AdminOnly, FieldError, Problem, ProblemCode, Refusal};
use crate::http::tags::Tag;
use crate::http::{AdminCaller, Body, RequestInfo};

/// Other people's accounts, for admins.
#[derive(Debug)]
pub struct AdminApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A user as admins see one.
#[derive(Debug, Object)]
#[oai(rename = "AdminUser", rename_all = "camelCase")]
struct AdminUserView {
    id: String,
    email: String,
    name: Option<String>,
    /// `user` or `admin`.
    role: String,
    /// `active`, `banned`, `deleted` or `erased`.
    status: String,
    /// Why banned.
    status_reason: Option<String>,
    /// Until when banned; for good when null.
    status_until: Option<OffsetDateTime>,
    email_verified: bool,
    two_factor_enabled: bool,
    locale: String,
    /// Live sessions.
    sessions: i64,
    created_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
    /// When it is erased for good.
    erase_after: Option<OffsetDateTime>,
}

impl From<UserListing> for AdminUserView {
    fn from(user: UserListing) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role,
            status: user.status,
            status_reason: user.status_reason,
            status_until: user.status_until,
            email_verified: user.email_verified,
            two_factor_enabled: user.two_factor_enabled,
            locale: user.locale,
            sessions: user.n_sessions,
            created_at: user.created_at,
            deleted_at: user.deleted_at,
            erase_after: user.erase_after,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "AdminUserAnswer")]
struct AdminUserAnswer {
    user: AdminUserView,
}

#[derive(Debug, Object)]
#[oai(rename = "AdminUserPage", rename_all = "camelCase")]
struct AdminUserPage {
    users: Vec<AdminUserView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "UserStatus", rename_all = "snake_case")]
enum UserStatus {
    Active,
    Banned,
    Deleted,
    Erased,
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "UserRole", rename_all = "snake_case")]
enum UserRole {
    User,
    Admin,
}

#[derive(Debug, Object)]
#[oai(rename = "BanRequest", rename_all = "camelCase", deny_unknown_fields)]
struct BanRequest {
    /// Why; the person may read it in their events.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
    /// Until when; for good when left out.
    until: Option<OffsetDateTime>,
}

#[derive(Debug, Object)]
#[oai(rename = "RoleRequest", deny_unknown_fields)]
struct RoleRequest {
    /// `user` or `admin`.
    role: UserRole,
}

#[derive(Debug, Object)]
#[oai(rename = "ImpersonateRequest", deny_unknown_fields)]
struct ImpersonateRequest {
    /// Why; the person may read it in their events.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
}

#[derive(Debug, Object)]
#[oai(rename = "Impersonation", rename_all = "camelCase")]
struct ImpersonationView {
    /// Names the user as `sub` and the admin as `act.sub`. There is no refresh token.
    access_token: String,
    /// Its life in seconds, at most 900.
    expires_in: i32,
    /// Always `Bearer`.
    token_type: String,
    /// Its session; the person sees it in their list and can end it.
    session_id: String,
}

#[derive(Debug, ApiResponse)]
enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/admin/users", tag = "Tag::Admin")]
impl AdminApi {
    /// List users
    ///
    /// Newest first. Role admin, like all operations here.
    #[oai(path = "/", method = "get", operation_id = "listUsers")]
    async fn list_users(
        &self,
        caller: AdminCaller,
        /// Part of an address or a name, or an id.
        #[oai(validator(min_length = 1, max_length = 254))]
        query: Query<Option<String>>,
        /// Only these.
        status: Query<Option<UserStatus>>,
        /// Only these.
        role: Query<Option<UserRole>>,
        /// How many; 50 when left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<AdminUserPage>, Refusal<AdminOnly>> {
        let filter = UserFilter {
            query: without_nul("query", query.0)?,
            status: status.0.map(|status| status.name().into()),
            role: role.0.map(|role| role.name().into()),
        };
        let cursor = without_nul("cursor", cursor.0)?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let page =
            list_users::list_users(&self.app, &caller.0, &filter, cursor.as_deref(), limit).await?;
        Ok(Json(AdminUserPage {
            users: page.users.into_iter().map(AdminUserView::from).collect(),
            next_cursor: page.next,
        }))
    }

    /// Read a user
    #[oai(path = "/:id", method = "get", operation_id = "readUser")]
    async fn read_user(
        &self,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Json<AdminUserAnswer>, Refusal<AdminOnly>> {
        let id = user_id(&id.0)?;
        let user = load_user::load_user(&self.app, &caller.0, id).await?;
        Ok(Json(AdminUserAnswer { user: user.into() }))
    }

    /// Ban a user
    ///
    /// Signs them out everywhere within seconds, and nobody signs in until the ban ends.
    #[oai(path = "/:id/ban", method = "post", operation_id = "banUser")]
    async fn ban_user(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        body: Body<BanRequest>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let BanRequest { reason, until } = body.0;
        if until.is_some_and(|until| until <= self.app.clock.now()) {
            let error = FieldError::new("until", "must be in the future");
            return Err(Problem::validation(vec![error]).into());
        }
        self.act(&caller, &id.0, &Act::Ban { reason, until }, &request)
            .await
    }

    /// End a ban
    #[oai(path = "/:id/unban", method = "post", operation_id = "unbanUser")]
    async fn unban_user(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&caller, &id.0, &Act::Unban, &request).await
    }

    /// Change a user's role
    ///
    /// Whoever loses the role is signed out; whoever gains it has it with the next refresh.
    #[oai(path = "/:id", method = "patch", operation_id = "changeUserRole")]
    async fn change_user_role(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        body: Body<RoleRequest>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let act = Act::SetRole(body.0.role.name().into());
        self.act(&caller, &id.0, &act, &request).await
    }

    /// Void a user's password
    ///
    /// Signs them out everywhere; they set a new password with a link in a mail they ask for.
    #[oai(
        path = "/:id/force-password-reset",
        method = "post",
        operation_id = "forcePasswordReset"
    )]
    async fn force_password_reset(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&caller, &id.0, &Act::ForcePasswordReset, &request)
            .await
    }

    /// Sign a user out everywhere
    #[oai(
        path = "/:id/sessions",
        method = "delete",
        operation_id = "revokeUserSessions"
    )]
    async fn revoke_user_sessions(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&caller, &id.0, &Act::RevokeSessions, &request)
            .await
    }

    /// Delete a user
    ///
    /// Signs them out at once; the account is erased after 30 days, until then it can be restored.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteUser")]
    async fn delete_user(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&caller, &id.0, &Act::Delete, &request).await
    }

    /// Restore a deleted user
    #[oai(path = "/:id/restore", method = "post", operation_id = "restoreUser")]
    async fn restore_user(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
    ) -> Result<Done, Refusal<AdminOnly>> {
        self.act(&caller, &id.0, &Act::Restore, &request).await
    }

    /// Act in a user's place
    ///
    /// For at most 15 minutes, without a refresh token and without sensitive acts.
    #[oai(
        path = "/:id/impersonate",
        method = "post",
        operation_id = "impersonateUser"
    )]
    async fn impersonate_user(
        &self,
        request: RequestInfo,
        caller: AdminCaller,
        /// The user.
        id: Path<String>,
        body: Body<ImpersonateRequest>,
    ) -> Result<Json<ImpersonationView>, Refusal<AdminOnly>> {
        let id = user_id(&id.0)?;
        let opened =
            impersonate::impersonate(&self.app, &caller.0, id, &body.0.reason, &request).await?;
        Ok(Json(ImpersonationView {
            access_token: opened.access_token.expose().into(),
            expires_in: opened.expires_in_secs,
            token_type: "Bearer".into(),
            session_id: opened.session_id,
        }))
    }
}

impl AdminApi {
    async fn act(
        &self,
        caller: &AdminCaller,
        id: &str,
        what: &Act,
        request: &RequestInfo,
    ) -> Result<Done, Refusal<AdminOnly>> {
        let id = user_id(id)?;
        act::act(&self.app, &caller.0, id, what, request).await?;
        Ok(Done::Done)
    }
}

impl UserStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Banned => "banned",
            Self::Deleted => "deleted",
            Self::Erased => "erased",
        }
    }
}

impl UserRole {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// What cannot be an id names nobody.
///
/// # Errors
/// `not_found`.
pub fn user_id(text: &str) -> Result<&str, Problem> {
    let fits =
        (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(text)
        .ok_or_else(|| Problem::new(ProblemCode::NotFound))
}

fn without_nul(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text.as_ref().is_some_and(|text| text.contains('\0')) {
        true => {
            let error = FieldError::new(name, "must not contain the character U+0000");
            Err(Problem::validation(vec![error]))
        }
        false => Ok(text),
    }
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        match error {
            Refused::Forbidden => Self::new(ProblemCode::Forbidden),
            Refused::Ended => Self::new(ProblemCode::SessionRevoked),
            Refused::Stale => Self::new(ProblemCode::ReauthenticationRequired),
            Refused::NotFound => Self::new(ProblemCode::NotFound),
            Refused::LastAdmin => Self::with_detail(
                ProblemCode::Conflict,
                "This is the last admin: make another one first.",
            ),
            Refused::Conflict => Self::new(ProblemCode::Conflict),
            Refused::TargetIsAdmin => Self::with_detail(
                ProblemCode::Forbidden,
                "Nobody acts in the place of an admin.",
            ),
            Refused::NoSigningKey => Self::new(ProblemCode::Unavailable),
            Refused::Db(error) => error.into(),
        }
    }
}

const DEFAULT_PAGE: u16 = 50;
/// Longer than any id.
const MAX_ID_BYTES: usize = 64;
