//! `/api/v1/auth`: verification, reset and change of address by mail.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::request_mail::{Asking, AskingError, request_mail};
use super::reset_password::{ResetError, reset_password};
use super::verify_email::{LinkError, verify_by_code, verify_by_link};
use crate::accounts::api::{bad_email, bad_password};
use crate::accounts::model::{Email, Password};
use crate::accounts::own;
use crate::app::App;
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, RequestInfo};

/// What is done by mail.
#[derive(Debug)]
pub struct MailedApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Object)]
#[oai(rename = "VerifyEmailRequest", deny_unknown_fields)]
struct VerifyEmailRequest {
    /// What the link in the mail carries.
    #[oai(validator(min_length = 1, max_length = 128))]
    token: Option<String>,
    /// In place of the token: the address, with the code.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: Option<String>,
    /// The six digits of the newest mail.
    #[oai(validator(min_length = 6, max_length = 6))]
    code: Option<String>,
}

#[derive(Object)]
#[oai(rename = "AddressRequest", deny_unknown_fields)]
struct AddressRequest {
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
}

#[derive(Object)]
#[oai(rename = "ResetPasswordRequest", deny_unknown_fields)]
struct ResetPasswordRequest {
    /// What the link in the mail carries.
    #[oai(validator(min_length = 1, max_length = 128))]
    token: String,
    /// 8 to 128 characters; no other rule.
    #[oai(validator(min_length = 8, max_length = 128))]
    password: String,
}

#[derive(Object)]
#[oai(rename = "LinkRequest", deny_unknown_fields)]
struct LinkRequest {
    /// What the link in the mail carries.
    #[oai(validator(min_length = 1, max_length = 128))]
    token: String,
}

/// Done.
#[derive(Debug, Object)]
#[oai(rename = "Done")]
pub struct Done {
    success: bool,
}

impl Done {
    /// The answer that says no more than that.
    pub fn answer() -> Json<Self> {
        Json(Self { success: true })
    }
}

#[derive(Debug, ApiResponse)]
pub enum Accepted {
    /// If there is somebody to write to, a mail is on its way.
    #[oai(status = 202)]
    Accepted(Json<Done>),
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Accounts")]
impl MailedApi {
    /// Prove an address by link or code
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        request: RequestInfo,
        body: Body<VerifyEmailRequest>,
    ) -> Result<Json<Done>, Refusal<SignedIn>> {
        match body.0.check()? {
            Proof::Link(token) => verify_by_link(&self.app, &token, &request).await?,
            Proof::Code(email, code) => verify_by_code(&self.app, &email, &code, &request).await?,
        }
        Ok(Done::answer())
    }

    /// Ask for the verification mail again
    #[oai(
        path = "/resend-verification",
        method = "post",
        operation_id = "resendVerification"
    )]
    async fn resend_verification(
        &self,
        request: RequestInfo,
        body: Body<AddressRequest>,
    ) -> Result<Accepted, Refusal<Mailing>> {
        let email = body.0.check()?;
        request_mail(&self.app, Asking::Verification, &email, &request).await?;
        Ok(Accepted::Accepted(Done::answer()))
    }

    /// Ask for a link to choose a password
    #[oai(
        path = "/forgot-password",
        method = "post",
        operation_id = "forgotPassword"
    )]
    async fn forgot_password(
        &self,
        request: RequestInfo,
        body: Body<AddressRequest>,
    ) -> Result<Accepted, Refusal<Mailing>> {
        let email = body.0.check()?;
        request_mail(&self.app, Asking::Reset, &email, &request).await?;
        Ok(Accepted::Accepted(Done::answer()))
    }

    /// Choose a password by link
    #[oai(
        path = "/reset-password",
        method = "post",
        operation_id = "resetPassword"
    )]
    async fn reset_password(
        &self,
        request: RequestInfo,
        body: Body<ResetPasswordRequest>,
    ) -> Result<Json<Done>, Refusal<SignedIn>> {
        let password = Password::choose(&body.0.password)
            .map_err(|fault| Problem::validation(vec![bad_password("password", fault)]))?;
        reset_password(&self.app, &body.0.token, password, &request).await?;
        Ok(Done::answer())
    }

    /// Move to a new address by link
    #[oai(
        path = "/confirm-email-change",
        method = "post",
        operation_id = "confirmEmailChange"
    )]
    async fn confirm_email_change(
        &self,
        request: RequestInfo,
        body: Body<LinkRequest>,
    ) -> Result<Json<Done>, Refusal<SignedIn>> {
        own::confirm_email_change(&self.app, &body.0.token, &request).await?;
        Ok(Done::answer())
    }
}

enum Proof {
    Link(String),
    Code(Email, String),
}

impl VerifyEmailRequest {
    fn check(self) -> Result<Proof, Problem> {
        match (self.token, self.email, self.code) {
            (Some(token), None, None) => Ok(Proof::Link(token)),
            (None, Some(email), Some(code)) => match Email::parse(&email) {
                Some(email) => Ok(Proof::Code(email, code)),
                None => Err(Problem::validation(vec![bad_email()])),
            },
            _ => Err(Problem::validation(vec![FieldError::new(
                "token",
                "must be given, or email and code together in its place",
            )])),
        }
    }
}

impl AddressRequest {
    fn check(self) -> Result<Email, Problem> {
        Email::parse(&self.email).ok_or_else(|| Problem::validation(vec![bad_email()]))
    }
}

/// Refusals of asking for mail.
struct Mailing;
impl Statuses for Mailing {
    const EXTRA: &'static [u16] = &[403];
}

impl From<AskingError> for Problem {
    fn from(error: AskingError) -> Self {
        match error {
            AskingError::MailIsOff => {
                Self::with_detail(ProblemCode::Forbidden, "This service sends no mail.")
            }
            AskingError::RateLimited { retry_after_secs } => Self::rate_limited(retry_after_secs),
            AskingError::Db(error) => error.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::NotGood => Self::with_detail(
                ProblemCode::InvalidCredentials,
                "The link or code is wrong, was used or has run out.",
            ),
            LinkError::Asking(error) => error.into(),
            LinkError::Db(error) => error.into(),
        }
    }
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Link(error) => error.into(),
            ResetError::Hash(error) => error.into(),
        }
    }
}
