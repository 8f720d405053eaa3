//! `/api/v1/auth`: register, login, me.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{ApiResponse, Object, OpenApi, Union};
use time::OffsetDateTime;

use super::login::{LoggedIn, LoginAttempt, LoginError};
use super::model::{Email, Password, PasswordFault, User};
use super::password::HashError;
use super::register::{RegisterError, Registrant};
use super::{login, register};
use crate::app::App;
use crate::http::cookies::{Browser, Delivery, SignInMode, with_cookies};
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, RequestInfo};
use crate::mail::Locale;
use crate::second_factor::LoginChallenge;
use crate::sessions::Tokens;

/// Accounts.
#[derive(Debug)]
pub struct AccountsApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Object)]
#[oai(rename = "RegisterRequest", deny_unknown_fields)]
struct RegisterRequest {
    /// What to sign in with; trimmed and lower-cased.
    #[oai(validator(min_length = 3, max_length = 254))]
    email: String,
    /// 8 to 128 characters, and not one of the most common passwords; no other rule.
    #[oai(validator(min_length = 8, max_length = 128))]
    password: String,
    /// What to be called.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
}

#[derive(Object)]
#[oai(rename = "LoginRequest", rename_all = "camelCase", deny_unknown_fields)]
struct LoginRequest {
    #[oai(validator(max_length = 254))]
    email: String,
    #[oai(validator(max_length = 128))]
    password: String,
    /// The app's name for this device; a new sign-in with it replaces the old session.
    #[oai(validator(min_length = 1, max_length = 128))]
    device_id: Option<String>,
    /// What this device is called in the list of sessions.
    #[oai(validator(min_length = 1, max_length = 100))]
    device_name: Option<String>,
}

/// A user.
#[derive(Debug, Object)]
#[oai(rename = "User", rename_all = "camelCase")]
struct UserView {
    id: String,
    email: String,
    name: Option<String>,
    /// `user` or `admin`.
    role: String,
    email_verified: bool,
    created_at: OffsetDateTime,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role,
            email_verified: user.email_verified,
            created_at: user.created_at,
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "UserAnswer")]
pub(super) struct UserAnswer {
    user: UserView,
}

impl UserAnswer {
    /// The answer that shows a user.
    pub(super) fn answer(user: User) -> Json<Self> {
        Json(Self { user: user.into() })
    }
}

/// A user who has signed in.
#[derive(Debug, Object)]
#[oai(
    rename = "LoginAnswer",
    rename_all = "camelCase",
    skip_serializing_if_is_none
)]
pub struct LoginAnswer {
    user: UserView,
    /// Signed, checked anywhere, short-lived.
    access_token: String,
    /// Opaque, single use; not there in cookie mode.
    refresh_token: Option<String>,
    /// Life of the access token in seconds.
    expires_in: i32,
    /// Always `Bearer`.
    token_type: String,
}

impl LoginAnswer {
    /// The answer of a sign-in, with cookies when those were asked for.
    pub fn deliver((user, tokens): (User, Tokens), delivery: Delivery) -> Response<Json<Self>> {
        with_cookies(
            Self::new(user, &tokens, delivery),
            delivery.set_cookies(&tokens),
        )
    }

    fn new(user: User, tokens: &Tokens, delivery: Delivery) -> Self {
        Self {
            user: user.into(),
            access_token: tokens.access_token.expose().into(),
            refresh_token: delivery.shown(tokens),
            expires_in: tokens.expires_in_secs,
            token_type: "Bearer".into(),
        }
    }
}

/// The password was right; a second factor is needed.
#[derive(Debug, Object)]
#[oai(rename = "TwoFactorRequired", rename_all = "camelCase")]
struct ChallengeAnswer {
    /// Always true.
    two_factor_required: bool,
    /// Shown again with the second factor, within five minutes.
    challenge_token: String,
    /// What can follow: `totp`, `recovery_code`, `passkey`.
    methods: Vec<String>,
}

impl From<LoginChallenge> for ChallengeAnswer {
    fn from(challenge: LoginChallenge) -> Self {
        Self {
            two_factor_required: true,
            challenge_token: challenge.token.expose().into(),
            methods: challenge.methods,
        }
    }
}

/// Tokens, or the question for a second factor.
#[derive(Debug, Union)]
#[oai(rename = "LoginOutcome")]
enum LoginOutcome {
    /// Signed in.
    Done(LoginAnswer),
    /// Two-factor is on.
    TwoFactor(ChallengeAnswer),
}

#[derive(Debug, ApiResponse)]
enum Registered {
    /// The account has been made.
    #[oai(status = 201)]
    Created(Json<UserAnswer>),
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Accounts")]
impl AccountsApi {
    /// Register
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        request: RequestInfo,
        locale: Locale,
        body: Body<RegisterRequest>,
    ) -> Result<Registered, Refusal<Registering>> {
        let registrant = body.0.check(locale)?;
        let user = register::register(&self.app, registrant, &request).await?;
        Ok(Registered::Created(UserAnswer::answer(user)))
    }

    /// Log in
    ///
    /// With two-factor on, the answer is a challenge for `/auth/login/second-factor`.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        request: RequestInfo,
        browser: Browser,
        /// `cookie` keeps the tokens in cookies.
        mode: Query<Option<SignInMode>>,
        body: Body<LoginRequest>,
    ) -> Result<Response<Json<LoginOutcome>>, Refusal<LoggingIn>> {
        let delivery = browser.delivery(mode.0)?;
        let logged_in = login::login(&self.app, body.0.into_attempt(), &request).await?;
        Ok(match logged_in {
            LoggedIn::Session(user, tokens) => {
                let answer = LoginAnswer::new(user, &tokens, delivery);
                with_cookies(LoginOutcome::Done(answer), delivery.set_cookies(&tokens))
            }
            LoggedIn::SecondFactor(challenge) => {
                with_cookies(LoginOutcome::TwoFactor(challenge.into()), Vec::new())
            }
        })
    }
}

impl RegisterRequest {
    fn check(self, locale: Locale) -> Result<Registrant, Problem> {
        let (email, password) = (Email::parse(&self.email), Password::choose(&self.password));
        match (email, password) {
            (Some(email), Ok(password)) => Ok(Registrant {
                email,
                password,
                name: self.name,
                locale,
            }),
            (email, password) => {
                let mut errors = Vec::new();
                if email.is_none() {
                    errors.push(bad_email());
                }
                if let Err(fault) = password {
                    errors.push(bad_password("password", fault));
                }
                Err(Problem::validation(errors))
            }
        }
    }
}

/// What is wrong with an address that is none.
pub(super) fn bad_email() -> FieldError {
    FieldError::new(
        "email",
        "must be an e-mail address such as name@example.com",
    )
}

/// What is wrong with a password that cannot be chosen.
pub(super) fn bad_password(field: &str, fault: PasswordFault) -> FieldError {
    FieldError::new(field, fault.expectation())
}

impl LoginRequest {
    fn into_attempt(self) -> LoginAttempt {
        LoginAttempt {
            email: Email::parse(&self.email),
            password: Password::parse(&self.password),
            device_id: self.device_id,
            device_name: self.device_name,
        }
    }
}

/// Refusals of a sign-in: 403 for cookies asked for by a page that is not listed.
struct LoggingIn;
impl Statuses for LoggingIn {
    const EXTRA: &'static [u16] = &[401, 403];
}

/// Refusals of registration.
struct Registering;
impl Statuses for Registering {
    const EXTRA: &'static [u16] = &[403, 409];
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => {
                Self::with_detail(ProblemCode::Forbidden, "Registration is closed.")
            }
            RegisterError::EmailTaken => Self::new(ProblemCode::EmailTaken),
            RegisterError::Hash(error) => error.into(),
            RegisterError::Db(error) => error.into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::new(ProblemCode::InvalidCredentials),
            LoginError::RateLimited { retry_after_secs } => Self::rate_limited(retry_after_secs),
            LoginError::Hash(error) => error.into(),
            LoginError::NoSigningKey => Self::new(ProblemCode::Unavailable),
            LoginError::Db(error) => error.into(),
        }
    }
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::new(ProblemCode::Unavailable),
            HashError::Failed => Self::new(ProblemCode::Internal),
        }
    }
}
