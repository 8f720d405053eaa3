//! `/api/v1/auth`: the signed-in user's own account.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::Value;

use super::change_email::{ChangeEmailError, change_email};
use super::change_password::{ChangePasswordError, change_password};
use super::delete_account::{DeleteError, delete_account};
use super::export_data::export_data;
use super::load_me::load_me;
use super::update_profile::{Changes, update_profile};
use crate::accounts::api::{UserAnswer, bad_email, bad_password};
use crate::accounts::mailed::{Accepted, Done};
use crate::accounts::model::{Email, Password};
use crate::app::App;
use crate::http::problem::{Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, RequestInfo};
use crate::mail;

/// One's own account.
#[derive(Debug)]
pub struct OwnApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// A language of mail.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "Locale", rename_all = "lowercase")]
enum LocaleView {
    /// English.
    En,
    /// German.
    De,
}

#[derive(Object)]
#[oai(rename = "ProfileRequest", deny_unknown_fields)]
struct ProfileRequest {
    /// What to be called.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// The language of mail.
    locale: Option<LocaleView>,
}

#[derive(Object)]
#[oai(
    rename = "ChangePasswordRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct ChangePasswordRequest {
    #[oai(validator(max_length = 128))]
    current_password: String,
    /// 8 to 128 characters; no other rule.
    #[oai(validator(min_length = 8, max_length = 128))]
    new_password: String,
}

#[derive(Object)]
#[oai(rename = "ChangeEmailRequest", deny_unknown_fields)]
struct ChangeEmailRequest {
    /// The new address.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
}

#[derive(Debug, ApiResponse)]
enum Deleted {
    /// The account is over.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Accounts")]
impl OwnApi {
    /// Read the signed-in user
    #[oai(path = "/me", method = "get", operation_id = "readMe")]
    async fn read_me(&self, caller: Caller) -> Result<Json<UserAnswer>, Refusal<SignedIn>> {
        let user = load_me(&self.app, &caller).await?;
        let user = user.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(UserAnswer::answer(user))
    }

    /// Change name or language
    #[oai(path = "/me", method = "patch", operation_id = "updateMe")]
    async fn update_me(
        &self,
        caller: Caller,
        request: RequestInfo,
        body: Body<ProfileRequest>,
    ) -> Result<Json<UserAnswer>, Refusal<SignedIn>> {
        let user = update_profile(&self.app, &caller, &body.0.into_changes(), &request).await?;
        let user = user.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(UserAnswer::answer(user))
    }

    /// Change the password
    ///
    /// Needs a sign-in within ten minutes. The other sessions end.
    #[oai(
        path = "/change-password",
        method = "post",
        operation_id = "changePassword"
    )]
    async fn change_password(
        &self,
        caller: Caller,
        request: RequestInfo,
        body: Body<ChangePasswordRequest>,
    ) -> Result<Json<Done>, Refusal<Sensitive>> {
        let (current, new) = body.0.check()?;
        change_password(&self.app, &caller, current, new, &request).await?;
        Ok(Done::answer())
    }

    /// Move to another address
    ///
    /// Needs a sign-in within ten minutes. A link goes to the new address.
    #[oai(path = "/change-email", method = "post", operation_id = "changeEmail")]
    async fn change_email(
        &self,
        caller: Caller,
        request: RequestInfo,
        body: Body<ChangeEmailRequest>,
    ) -> Result<Accepted, Refusal<Sensitive>> {
        let email =
            Email::parse(&body.0.email).ok_or_else(|| Problem::validation(vec![bad_email()]))?;
        change_email(&self.app, &caller, &email, &request).await?;
        Ok(Accepted::Accepted(Done::answer()))
    }

    /// Export everything kept about oneself
    #[oai(path = "/export", method = "get", operation_id = "exportMe")]
    async fn export(&self, caller: Caller) -> Result<Json<Any<Value>>, Refusal<SignedIn>> {
        let data = export_data(&self.app, &caller).await?;
        let data = data.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(Json(Any(data)))
    }

    /// Delete the account
    ///
    /// Needs a sign-in within ten minutes. Personal data is erased after 30 days.
    #[oai(path = "/me", method = "delete", operation_id = "deleteMe")]
    async fn delete_me(
        &self,
        caller: Caller,
        request: RequestInfo,
    ) -> Result<Deleted, Refusal<Deleting>> {
        delete_account(&self.app, &caller, &request).await?;
        Ok(Deleted::Deleted)
    }
}

impl ProfileRequest {
    fn into_changes(self) -> Changes {
        let locale = self.locale.map(|locale| match locale {
            LocaleView::En => mail::Locale::En,
            LocaleView::De => mail::Locale::De,
        });
        Changes {
            name: self.name,
            locale,
        }
    }
}

impl ChangePasswordRequest {
    fn check(self) -> Result<(Password, Password), Problem> {
        let new = Password::choose(&self.new_password)
            .map_err(|fault| Problem::validation(vec![bad_password("newPassword", fault)]))?;
        // What cannot be a password is a wrong one.
        let current = Password::parse(&self.current_password)
            .ok_or_else(|| Problem::from(ChangePasswordError::WrongPassword))?;
        Ok((current, new))
    }
}

/// Refusals of deleting the account.
struct Deleting;
impl Statuses for Deleting {
    const EXTRA: &'static [u16] = &[401, 403, 409];
}

/// Refusals of sensitive acts.
struct Sensitive;
impl Statuses for Sensitive {
    const EXTRA: &'static [u16] = &[401, 403];
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::WrongPassword => Self::with_detail(
                ProblemCode::InvalidCredentials,
                "The present password is wrong.",
            ),
            ChangePasswordError::SignInAgain => Self::new(ProblemCode::ReauthenticationRequired),
            ChangePasswordError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            ChangePasswordError::RateLimited { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            ChangePasswordError::Hash(error) => error.into(),
            ChangePasswordError::Db(error) => error.into(),
        }
    }
}

impl From<ChangeEmailError> for Problem {
    fn from(error: ChangeEmailError) -> Self {
        match error {
            ChangeEmailError::Asking(error) => error.into(),
            ChangeEmailError::SignInAgain => Self::new(ProblemCode::ReauthenticationRequired),
            ChangeEmailError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::SignInAgain => Self::new(ProblemCode::ReauthenticationRequired),
            DeleteError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            DeleteError::LastAdmin => Self::with_detail(
                ProblemCode::Conflict,
                "The last admin cannot go: make somebody else an admin first.",
            ),
            DeleteError::Db(error) => error.into(),
        }
    }
}
