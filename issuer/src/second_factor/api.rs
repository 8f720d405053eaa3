//! `/api/v1/auth`: the second factor of a sign-in, one-time codes, recovery codes, step-up.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use super::factor::Shown;
use super::finish_login::FinishLoginError;
use super::passkeys::{self, PasskeyAnswer};
use super::reauthenticate::{Credential, PasswordShown, ReauthenticateError};
use super::recovery_code::RecoveryCode;
use super::store::StateRow;
use super::totp::Enrolment;
use super::{
    ChangeError, begin_totp, confirm_totp, disable_totp, finish_login, read_state, reauthenticate,
    replace_recovery_codes,
};
use crate::accounts::{LoginAnswer, Password};
use crate::app::App;
use crate::http::cookies::{Browser, SignInMode};
use crate::http::problem::{FieldError, Problem, ProblemCode, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, RequestInfo};
use crate::second_factor::passkeys::Asked;

/// Second factors.
#[derive(Debug)]
pub struct SecondFactorApi {
    /// The issuer.
    pub app: Arc<App>,
}

/// The answer of an authenticator.
#[derive(Debug, Object)]
#[oai(
    rename = "PasskeyAnswer",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct PasskeyAnswerView {
    /// The token that came with the options.
    #[oai(validator(max_length = 128))]
    ceremony_token: String,
    /// What the browser's call gave, as `toJSON()` writes it.
    credential: Any<Value>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "SecondFactorRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct SecondFactorRequest {
    /// The token of the login's answer.
    #[oai(validator(max_length = 128))]
    challenge_token: String,
    /// A one-time code, or …
    #[oai(validator(max_length = 16))]
    code: Option<String>,
    /// … a recovery code, or …
    #[oai(validator(max_length = 64))]
    recovery_code: Option<String>,
    /// … a passkey.
    passkey: Option<PasskeyAnswerView>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "ChallengeRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct ChallengeRequest {
    /// The token of the login's answer.
    #[oai(validator(max_length = 128))]
    challenge_token: String,
}

#[derive(Object)]
#[oai(
    rename = "ReauthenticateRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct ReauthenticateRequest {
    /// The password; with two-factor on together with a code or recovery code.
    #[oai(validator(max_length = 128))]
    password: Option<String>,
    /// A one-time code.
    #[oai(validator(max_length = 16))]
    code: Option<String>,
    /// A recovery code.
    #[oai(validator(max_length = 64))]
    recovery_code: Option<String>,
    /// A passkey; enough by itself.
    passkey: Option<PasskeyAnswerView>,
}

#[derive(Debug, Object)]
#[oai(rename = "TotpCode", deny_unknown_fields)]
struct TotpCode {
    /// What the authenticator app shows.
    #[oai(validator(max_length = 16))]
    code: String,
}

/// What the user has set up.
#[derive(Debug, Object)]
#[oai(rename = "TwoFactorState", rename_all = "camelCase")]
struct StateView {
    /// Whether a password alone is not enough.
    enabled: bool,
    /// Whether one-time codes are set up.
    totp: bool,
    /// Recovery codes that have not been used.
    recovery_codes_left: i32,
    /// Registered passkeys.
    passkeys: i32,
}

/// A secret to set up an authenticator app with.
#[derive(Debug, Object)]
#[oai(rename = "TotpEnrolment", rename_all = "camelCase")]
struct EnrolmentView {
    /// The secret to type, in base32.
    secret: String,
    /// The secret as a link.
    otpauth_url: String,
    /// The link as a picture (SVG).
    qr_svg: String,
}

/// Codes that are shown once.
#[derive(Debug, Object)]
#[oai(rename = "RecoveryCodes", rename_all = "camelCase")]
struct RecoveryCodesView {
    /// Each signs in once in place of a one-time code.
    recovery_codes: Vec<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "Reauthenticated")]
struct Reauthenticated {
    success: bool,
}

/// What a browser passes to an authenticator.
#[derive(Debug, Object)]
#[oai(rename = "PasskeyOptions", rename_all = "camelCase")]
pub struct OptionsView {
    /// Shown again with the answer, within five minutes.
    ceremony_token: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    public_key: Any<Value>,
}

impl From<Asked> for OptionsView {
    fn from(asked: Asked) -> Self {
        Self {
            ceremony_token: asked.token.expose().into(),
            public_key: Any(asked.options),
        }
    }
}

#[derive(Debug, ApiResponse)]
enum Disabled {
    /// Two-factor is off.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::SecondFactor")]
impl SecondFactorApi {
    /// Finish a login with a second factor
    ///
    /// Exactly one of `code`, `recoveryCode` and `passkey`. A challenge takes five attempts.
    #[oai(
        path = "/login/second-factor",
        method = "post",
        operation_id = "finishLogin"
    )]
    async fn finish_login(
        &self,
        request: RequestInfo,
        browser: Browser,
        /// `cookie` keeps the tokens in cookies.
        mode: Query<Option<SignInMode>>,
        body: Body<SecondFactorRequest>,
    ) -> Result<Response<Json<LoginAnswer>>, Refusal<Guarded>> {
        let delivery = browser.delivery(mode.0)?;
        let SecondFactorRequest {
            challenge_token,
            code,
            recovery_code,
            passkey,
        } = body.0;
        let shown = one_factor(code, recovery_code, passkey)?.ok_or_else(which_factor)?;
        let opened =
            finish_login::finish_login(&self.app, &challenge_token, &shown, &request).await?;
        Ok(LoginAnswer::deliver(opened, delivery))
    }

    /// Ask for a passkey as the second factor of a login
    #[oai(
        path = "/login/second-factor/passkey-options",
        method = "post",
        operation_id = "beginSecondFactorPasskey"
    )]
    async fn begin_second_factor_passkey(
        &self,
        body: Body<ChallengeRequest>,
    ) -> Result<Json<OptionsView>, Refusal<Asking>> {
        let asked = passkeys::begin_second_factor(&self.app, &body.0.challenge_token).await?;
        Ok(Json(asked.into()))
    }

    /// Sign in again
    ///
    /// Sensitive acts are allowed for ten minutes after it. With two-factor on, a password needs
    /// a code or recovery code beside it; a passkey is enough by itself.
    #[oai(
        path = "/reauthenticate",
        method = "post",
        operation_id = "reauthenticate"
    )]
    async fn reauthenticate(
        &self,
        request: RequestInfo,
        caller: Caller,
        body: Body<ReauthenticateRequest>,
    ) -> Result<Json<Reauthenticated>, Refusal<SignedIn>> {
        let credential = body.0.into_credential()?;
        reauthenticate::reauthenticate(&self.app, &caller, credential, &request).await?;
        Ok(Json(Reauthenticated { success: true }))
    }

    /// Ask for a passkey to sign in again
    #[oai(
        path = "/reauthenticate/passkey-options",
        method = "post",
        operation_id = "beginReauthenticationPasskey"
    )]
    async fn begin_reauthentication_passkey(
        &self,
        caller: Caller,
    ) -> Result<Json<OptionsView>, Refusal<Asking>> {
        let asked = passkeys::begin_reauthentication(&self.app, &caller).await?;
        Ok(Json(asked.into()))
    }

    /// Read which second factors are set up
    #[oai(path = "/two-factor", method = "get", operation_id = "readTwoFactor")]
    async fn read_two_factor(&self, caller: Caller) -> Result<Json<StateView>, Refusal<SignedIn>> {
        let state = read_state::read_state(&self.app, &caller).await?;
        let state = state.ok_or_else(|| Problem::new(ProblemCode::SessionRevoked))?;
        Ok(Json(state.into()))
    }

    /// Begin to set up one-time codes
    ///
    /// Nothing changes until a code is confirmed. Needs a sign-in within ten minutes.
    #[oai(path = "/two-factor/totp", method = "post", operation_id = "beginTotp")]
    async fn begin_totp(&self, caller: Caller) -> Result<Json<EnrolmentView>, Refusal<Changing>> {
        let enrolment = begin_totp::begin_totp(&self.app, &caller).await?;
        Ok(Json(enrolment.into()))
    }

    /// Switch two-factor on
    ///
    /// Takes a first code and answers ten recovery codes, shown this once.
    #[oai(
        path = "/two-factor/totp/confirm",
        method = "post",
        operation_id = "confirmTotp"
    )]
    async fn confirm_totp(
        &self,
        request: RequestInfo,
        caller: Caller,
        body: Body<TotpCode>,
    ) -> Result<Json<RecoveryCodesView>, Refusal<Changing>> {
        let codes = confirm_totp::confirm_totp(&self.app, &caller, &body.0.code, &request).await?;
        Ok(Json(codes.into()))
    }

    /// Switch two-factor off
    ///
    /// Recovery codes are forgotten, passkeys stay. Needs a sign-in within ten minutes.
    #[oai(
        path = "/two-factor/totp",
        method = "delete",
        operation_id = "disableTotp"
    )]
    async fn disable_totp(
        &self,
        request: RequestInfo,
        caller: Caller,
    ) -> Result<Disabled, Refusal<Changing>> {
        disable_totp::disable_totp(&self.app, &caller, &request).await?;
        Ok(Disabled::Done)
    }

    /// Make new recovery codes
    ///
    /// The old ones are worth nothing from now on. Needs a sign-in within ten minutes.
    #[oai(
        path = "/two-factor/recovery-codes",
        method = "post",
        operation_id = "replaceRecoveryCodes"
    )]
    async fn replace_recovery_codes(
        &self,
        request: RequestInfo,
        caller: Caller,
    ) -> Result<Json<RecoveryCodesView>, Refusal<Changing>> {
        let codes =
            replace_recovery_codes::replace_recovery_codes(&self.app, &caller, &request).await?;
        Ok(Json(codes.into()))
    }
}

fn one_factor(
    code: Option<String>,
    recovery_code: Option<String>,
    passkey: Option<PasskeyAnswerView>,
) -> Result<Option<Shown>, Problem> {
    match (code, recovery_code, passkey) {
        (None, None, None) => Ok(None),
        (Some(code), None, None) => Ok(Some(Shown::Code(code))),
        (None, Some(code), None) => Ok(Some(Shown::RecoveryCode(code))),
        (None, None, Some(answer)) => Ok(Some(Shown::Passkey(PasskeyAnswer {
            token: answer.ceremony_token,
            credential: answer.credential.0,
        }))),
        _ => Err(which_factor()),
    }
}

fn which_factor() -> Problem {
    let words = "exactly one of code, recoveryCode and passkey is needed";
    Problem::validation(vec![FieldError::new("", words)])
}

impl ReauthenticateRequest {
    fn into_credential(self) -> Result<Credential, Problem> {
        let factor = one_factor(self.code, self.recovery_code, self.passkey)?;
        let password = self
            .password
            .map(|text| PasswordShown(Password::parse(&text)));
        if factor.is_none() && password.is_none() {
            let words = "password, code, recoveryCode or passkey is needed";
            return Err(Problem::validation(vec![FieldError::new("", words)]));
        }
        Ok(Credential { password, factor })
    }
}

impl From<StateRow> for StateView {
    fn from(state: StateRow) -> Self {
        Self {
            enabled: state.totp,
            totp: state.totp,
            recovery_codes_left: state.recovery_codes_left,
            passkeys: state.passkeys,
        }
    }
}

impl From<Enrolment> for EnrolmentView {
    fn from(enrolment: Enrolment) -> Self {
        Self {
            secret: enrolment.secret.to_string(),
            otpauth_url: enrolment.otpauth_url.to_string(),
            qr_svg: enrolment.qr_svg.to_string(),
        }
    }
}

impl From<Vec<RecoveryCode>> for RecoveryCodesView {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self {
            recovery_codes: codes.iter().map(RecoveryCode::shown).collect(),
        }
    }
}

/// Refusals of a sign-in: 403 for cookies asked for by a page that is not listed.
struct Guarded;
impl Statuses for Guarded {
    const EXTRA: &'static [u16] = &[401, 403];
}

/// Refusals where there may be no passkey to ask for.
struct Asking;
impl Statuses for Asking {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

/// Refusals of a change of second factors.
struct Changing;
impl Statuses for Changing {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

fn wrong(detail: &'static str) -> Problem {
    Problem::with_detail(ProblemCode::InvalidCredentials, detail)
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            ChangeError::Stale => Self::new(ProblemCode::ReauthenticationRequired),
            ChangeError::AlreadyOn => {
                Self::with_detail(ProblemCode::Conflict, "One-time codes are set up already.")
            }
            ChangeError::NotOn => {
                Self::with_detail(ProblemCode::NotFound, "One-time codes are not set up.")
            }
            ChangeError::WrongCode => wrong("The code is wrong."),
            ChangeError::Unreadable => unreadable(),
            ChangeError::Db(error) => error.into(),
        }
    }
}

impl From<FinishLoginError> for Problem {
    fn from(error: FinishLoginError) -> Self {
        match error {
            FinishLoginError::ChallengeOver => {
                wrong("The challenge is used up or has expired: log in again.")
            }
            FinishLoginError::Wrong => wrong("The second factor is wrong."),
            FinishLoginError::RateLimited { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            FinishLoginError::Unreadable => unreadable(),
            FinishLoginError::NoSigningKey => Self::new(ProblemCode::Unavailable),
            FinishLoginError::Db(error) => error.into(),
        }
    }
}

impl From<ReauthenticateError> for Problem {
    fn from(error: ReauthenticateError) -> Self {
        match error {
            ReauthenticateError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            ReauthenticateError::MoreNeeded => wrong(
                "With two-factor on: password and code, password and recovery code, or a passkey. \
                 Without: the password, or a passkey.",
            ),
            ReauthenticateError::Wrong => wrong("What was shown is wrong."),
            ReauthenticateError::RateLimited { retry_after_secs } => {
                Self::rate_limited(retry_after_secs)
            }
            ReauthenticateError::Unreadable => unreadable(),
            ReauthenticateError::Hash(error) => error.into(),
            ReauthenticateError::Db(error) => error.into(),
        }
    }
}

/// A key is gone that the operator still needs.
fn unreadable() -> Problem {
    tracing::error!("a second factor was sealed with a master key that is not here");
    Problem::new(ProblemCode::Internal)
}
