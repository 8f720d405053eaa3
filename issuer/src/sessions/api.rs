//! `/api/v1/auth`: refresh, logout, validate, sessions.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;
use time::OffsetDateTime;

use super::model::{Session, Tokens};
use super::refresh::RefreshError;
use super::revoke::{RevokeError, Revoked, Scope};
use super::{list, refresh, revoke, validate};
use crate::app::App;
use crate::http::cookies::{Browser, Delivery, forget_cookies, forgetting, with_cookies};
use crate::http::problem::{Problem, ProblemCode, Public, Refusal, SignedIn, Statuses};
use crate::http::tags::Tag;
use crate::http::{Body, Caller, OptionalBody, OptionalCaller, Prepared, RequestInfo};

/// Sessions.
#[derive(Debug)]
pub struct SessionsApi {
    /// The issuer.
    pub app: Arc<App>,
}

#[derive(Debug, Object)]
#[oai(
    rename = "RefreshRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct RefreshRequest {
    /// The refresh token of the last login or refresh.
    #[oai(validator(max_length = 1024))]
    refresh_token: String,
}

#[derive(Debug, Object)]
#[oai(
    rename = "LogoutRequest",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct LogoutRequest {
    /// In place of an access token: a refresh token of the session, spent or not.
    #[oai(validator(max_length = 1024))]
    refresh_token: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "ValidateRequest", deny_unknown_fields)]
struct ValidateRequest {
    /// The access token to check.
    token: String,
}

/// New tokens.
#[derive(Debug, Object)]
#[oai(
    rename = "Tokens",
    rename_all = "camelCase",
    skip_serializing_if_is_none
)]
pub struct TokensView {
    /// Signed, checked anywhere, short-lived.
    pub access_token: String,
    /// Opaque, single use; not there in cookie mode.
    pub refresh_token: Option<String>,
    /// Life of the access token in seconds.
    pub expires_in: i32,
    /// Always `Bearer`.
    pub token_type: String,
}

impl TokensView {
    /// The tokens as this delivery shows them.
    pub fn new(tokens: &Tokens, delivery: Delivery) -> Self {
        Self {
            access_token: tokens.access_token.expose().into(),
            refresh_token: delivery.shown(tokens),
            expires_in: tokens.expires_in_secs,
            token_type: "Bearer".into(),
        }
    }
}

#[derive(Debug, Object)]
#[oai(rename = "Success")]
struct Success {
    success: bool,
}

#[derive(Debug, Object)]
#[oai(rename = "RevokedSessions")]
struct RevokedSessions {
    /// How many sessions have been ended.
    revoked: u64,
}

#[derive(Debug, Object)]
#[oai(rename = "Validation", skip_serializing_if_is_none)]
struct Validation {
    /// Whether the token would be accepted.
    valid: bool,
    /// Its claims, when it is valid.
    payload: Option<Any<Value>>,
    /// The verifier's code, when it is not.
    error: Option<String>,
}

#[derive(Debug, Object)]
#[oai(rename = "Session", rename_all = "camelCase")]
struct SessionView {
    id: String,
    device_id: Option<String>,
    device_name: Option<String>,
    user_agent: Option<String>,
    ip_address: Option<String>,
    created_at: OffsetDateTime,
    last_used_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    /// Whether this is the session that asks.
    current: bool,
}

impl SessionView {
    fn of(session: Session, caller: &Caller) -> Self {
        Self {
            current: session.id == caller.session_id,
            id: session.id,
            device_id: session.device_id,
            device_name: session.device_name,
            user_agent: session.user_agent,
            ip_address: session.ip_address,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
        }
    }
}

#[derive(Debug, ApiResponse)]
enum Deleted {
    /// The session has been ended.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Sessions")]
impl SessionsApi {
    /// Refresh
    ///
    /// Spends a refresh token for new tokens. Repeating the request within ten seconds, or
    /// after its answer was lost, is safe; using a token long spent ends the session. Without a
    /// body the token is that of the cookie, and so are the new ones.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        request: RequestInfo,
        browser: Browser,
        body: OptionalBody<RefreshRequest>,
    ) -> Result<Response<Json<TokensView>>, Refusal<Refreshing>> {
        let (presented, delivery) = match (&body.0, browser.held_token()) {
            (Some(body), _) => (body.refresh_token.as_str(), Delivery::Body),
            (None, Some(_)) => (cookie_token(&browser)?, browser.cookies()),
            (None, None) => return Err(no_refresh_token().into()),
        };
        let refreshed = refresh::refresh(&self.app, presented, &request).await;
        let tokens = refreshed.map_err(|error| refusal(error, delivery))?;
        let view = TokensView::new(&tokens, delivery);
        Ok(with_cookies(view, delivery.set_cookies(&tokens)))
    }

    /// Log out
    ///
    /// Ends the session of the access token, or of the refresh token in the body or the cookie.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        request: RequestInfo,
        caller: OptionalCaller,
        browser: Browser,
        body: OptionalBody<LogoutRequest>,
    ) -> Result<Response<Json<Success>>, Refusal<Refreshing>> {
        let presented = body.0.and_then(|body| body.refresh_token);
        let (revoked, forget) = match (&caller.0, &presented) {
            (Some(caller), _) => {
                let same = revoke::is_of_session(&self.app, &browser, caller);
                (revoke::logout(&self.app, caller, &request).await?, same)
            }
            (None, Some(token)) => (
                revoke::logout_by_token(&self.app, token, &request).await?,
                false,
            ),
            (None, None) => {
                let token = cookie_token(&browser)?;
                (
                    revoke::logout_by_token(&self.app, token, &request).await?,
                    true,
                )
            }
        };
        logged_out(revoked, forget)
    }

    /// Validate an access token
    ///
    /// Checks signature, claims and revocation. Answers 200 for every well-formed body.
    #[oai(path = "/validate", method = "post", operation_id = "validate")]
    async fn validate(
        &self,
        body: Body<ValidateRequest>,
    ) -> Result<Prepared<Validation>, Refusal<Public>> {
        // The claims are what the issuer signed, and a code is a word of ours: nothing is escaped.
        Ok(Prepared::new(
            match validate::validate(&self.app, &body.0.token) {
                Ok(payload) => format!(r#"{{"valid":true,"payload":{payload}}}"#),
                Err(code) => format!(r#"{{"valid":false,"error":"{code}"}}"#),
            },
        ))
    }

    /// List sessions
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list_sessions(
        &self,
        caller: Caller,
    ) -> Result<Json<Vec<SessionView>>, Refusal<SignedIn>> {
        let sessions = list::list(&self.app, &caller).await?;
        if sessions.is_empty() {
            return Err(Problem::new(ProblemCode::SessionRevoked).into());
        }
        Ok(Json(
            sessions
                .into_iter()
                .map(|session| SessionView::of(session, &caller))
                .collect(),
        ))
    }

    /// End one session
    ///
    /// Another one than that of the access token needs a sign-in within the last ten minutes.
    #[oai(
        path = "/sessions/:id",
        method = "delete",
        operation_id = "revokeSession"
    )]
    async fn revoke_session(
        &self,
        request: RequestInfo,
        caller: Caller,
        /// The session.
        id: Path<String>,
    ) -> Result<Deleted, Refusal<RevokingOne>> {
        revoke::revoke(&self.app, &caller, &id.0, &request).await?;
        Ok(Deleted::Done)
    }

    /// End all other sessions
    ///
    /// Needs a sign-in within the last ten minutes.
    #[oai(
        path = "/sessions/revoke-others",
        method = "post",
        operation_id = "revokeOtherSessions"
    )]
    async fn revoke_other_sessions(
        &self,
        request: RequestInfo,
        caller: Caller,
    ) -> Result<Json<RevokedSessions>, Refusal<RevokingMany>> {
        let ended = revoke::revoke_many(&self.app, &caller, Scope::Others, &request).await?;
        Ok(Json(RevokedSessions {
            revoked: ended as u64,
        }))
    }

    /// End all sessions
    ///
    /// That of the access token too. Needs a sign-in within the last ten minutes.
    #[oai(
        path = "/sessions/revoke-all",
        method = "post",
        operation_id = "revokeAllSessions"
    )]
    async fn revoke_all_sessions(
        &self,
        request: RequestInfo,
        caller: Caller,
    ) -> Result<Json<RevokedSessions>, Refusal<RevokingMany>> {
        let ended = revoke::revoke_many(&self.app, &caller, Scope::All, &request).await?;
        Ok(Json(RevokedSessions {
            revoked: ended as u64,
        }))
    }
}

fn cookie_token(browser: &Browser) -> Result<&str, Problem> {
    let token = browser.refresh_token()?;
    let token = token.ok_or_else(|| Problem::new(ProblemCode::MissingToken))?;
    Ok(token.expose())
}

/// Neither a cookie nor a body.
fn no_refresh_token() -> Problem {
    Problem::new(ProblemCode::MalformedJson)
}

/// A refresh that lost a race must not sign the winner out: the cookies go only with the session.
fn refusal(error: RefreshError, delivery: Delivery) -> Problem {
    let is_over = matches!(error, RefreshError::Ended | RefreshError::Reused);
    let problem = Problem::from(error);
    match is_over && delivery != Delivery::Body {
        true => forgetting(problem),
        false => problem,
    }
}

fn logged_out(
    revoked: Revoked,
    forget: bool,
) -> Result<Response<Json<Success>>, Refusal<Refreshing>> {
    let problem = match revoked {
        Revoked::Now => {
            let cookies = if forget { forget_cookies() } else { Vec::new() };
            return Ok(with_cookies(Success { success: true }, cookies));
        }
        Revoked::Before if forget => forgetting(Problem::new(ProblemCode::SessionRevoked)),
        Revoked::Before => Problem::new(ProblemCode::SessionRevoked),
        Revoked::NotFound => Problem::new(ProblemCode::InvalidRefreshToken),
    };
    Err(problem.into())
}

/// Refusals where a cookie may be used: 403 for a page that is not listed.
struct Refreshing;
impl Statuses for Refreshing {
    const EXTRA: &'static [u16] = &[401, 403];
}

/// Refusals of ending one session.
struct RevokingOne;
impl Statuses for RevokingOne {
    const EXTRA: &'static [u16] = &[401, 403, 404];
}

/// Refusals of ending many.
struct RevokingMany;
impl Statuses for RevokingMany {
    const EXTRA: &'static [u16] = &[401, 403];
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NotFound => Self::new(ProblemCode::NotFound),
            RevokeError::SignInTooOld => Self::new(ProblemCode::ReauthenticationRequired),
            RevokeError::SessionEnded => Self::new(ProblemCode::SessionRevoked),
            RevokeError::Db(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::NotOurs => Self::new(ProblemCode::InvalidRefreshToken),
            RefreshError::Ended => Self::new(ProblemCode::SessionRevoked),
            RefreshError::Reused => Self::new(ProblemCode::RefreshTokenReused),
            RefreshError::NoSigningKey => Self::new(ProblemCode::Unavailable),
            RefreshError::Db(error) => error.into(),
        }
    }
}
