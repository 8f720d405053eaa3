//! Problem documents (RFC 9457): the one form every refusal has.

use std::borrow::Cow;
use std::marker::PhantomData;

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use time::OffsetDateTime;

use crate::db::DbError;

macro_rules! problem_codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// Every `code` the issuer answers with. They never change once published.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemCode {
            $(#[doc = $title] $variant,)+
        }

        impl ProblemCode {
            /// All of them, for the documentation and its test.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The short text for people, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

problem_codes! {
    MalformedJson = "malformed_json", 400, "The body is not JSON.";
    InvalidCredentials = "invalid_credentials", 401, "E-mail address or password is wrong.";
    MissingToken = "missing_token", 401, "An access token is needed.";
    InvalidToken = "invalid_token", 401, "The access token is not accepted.";
    InvalidRefreshToken = "invalid_refresh_token", 401, "The refresh token is not one of ours.";
    RefreshTokenReused = "refresh_token_reused", 401, "The refresh token had been used before; the session has been ended.";
    SessionRevoked = "session_revoked", 401, "The session has ended.";
    InsufficientCredits = "insufficient_credits", 402, "There are not enough credits.";
    ReauthenticationRequired = "reauthentication_required", 403, "This needs a recent sign-in.";
    Forbidden = "forbidden", 403, "This is not allowed.";
    AccountFrozen = "account_frozen", 403, "The credit account is frozen.";
    SpendLimitReached = "spend_limit_reached", 403, "The app may not spend more of these credits for now.";
    NotFound = "not_found", 404, "There is nothing here.";
    MethodNotAllowed = "method_not_allowed", 405, "The resource does not take this method.";
    EmailTaken = "email_taken", 409, "An account with this e-mail address exists.";
    Conflict = "conflict", 409, "The request conflicts with the present state.";
    PreconditionFailed = "precondition_failed", 412, "The resource has changed since the version named in If-Match.";
    PayloadTooLarge = "payload_too_large", 413, "The body is too large.";
    UnsupportedMediaType = "unsupported_media_type", 415, "The body must be application/json.";
    ValidationFailed = "validation_failed", 422, "A field is missing, unknown or out of range.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The idempotency key belongs to another request.";
    RateLimited = "rate_limited", 429, "Too many requests.";
    Internal = "internal", 500, "Something went wrong on our side.";
    Unavailable = "unavailable", 503, "The service cannot answer right now.";
}

/// A field of the request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct FieldError {
    /// Where: a name, with dots and indexes below the top level; empty for the body itself.
    pub field: String,
    /// What would be right.
    pub message: String,
}

impl FieldError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// The spend limit that forbids a charge or hold.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "SpendLimitReached", rename_all = "camelCase")]
pub struct SpendLimitDocument {
    /// `day` or `month`.
    pub period: String,
    /// How much the app may spend in it.
    pub limit: i64,
    /// How much it has spent and holds.
    pub used: i64,
    /// When it begins anew.
    pub resets_at: OffsetDateTime,
}

/// A problem document as it travels (RFC 9457).
#[derive(Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
struct ProblemDocument {
    /// A URN that names the kind of problem.
    #[oai(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: String,
    /// The HTTP status, repeated.
    status: u16,
    /// This occurrence in words.
    detail: String,
    /// The stable code to program against.
    code: String,
    /// With `validation_failed`: each field that is wrong.
    errors: Option<Vec<FieldError>>,
    /// With `insufficient_credits`: what can be spent.
    balance: Option<i64>,
    /// With `spend_limit_reached`: which limit.
    #[oai(rename = "spendLimit")]
    spend_limit: Option<SpendLimitDocument>,
}

/// A refusal: code, words and headers. Never holds text of a library or the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: ProblemCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    balance: Option<i64>,
    spend_limit: Option<Box<SpendLimitDocument>>,
    retry_after_secs: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem whose title says enough.
    pub fn new(code: ProblemCode) -> Self {
        Self::with_detail(code, code.title())
    }

    /// A problem with its own words.
    pub fn with_detail(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_secs = match code {
            ProblemCode::Unavailable => Some(RETRY_UNAVAILABLE_SECS),
            _ => None,
        };
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            balance: None,
            spend_limit: None,
            retry_after_secs,
            headers: Vec::new(),
        }
    }

    /// `validation_failed` with its fields.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(ProblemCode::ValidationFailed)
        }
    }

    /// `insufficient_credits` with what can be spent.
    pub fn insufficient_credits(balance: i64) -> Self {
        Self {
            balance: Some(balance),
            ..Self::new(ProblemCode::InsufficientCredits)
        }
    }

    /// `spend_limit_reached` with the limit.
    pub fn spend_limit_reached(limit: SpendLimitDocument) -> Self {
        Self {
            spend_limit: Some(Box::new(limit)),
            ..Self::new(ProblemCode::SpendLimitReached)
        }
    }

    /// The same problem in other words.
    #[must_use]
    pub fn described(mut self, detail: &'static str) -> Self {
        self.detail = detail.into();
        self
    }

    /// `rate_limited`, to be tried again after so many seconds.
    pub fn rate_limited(retry_after_secs: u64) -> Self {
        Self {
            retry_after_secs: Some(retry_after_secs.max(1)),
            ..Self::new(ProblemCode::RateLimited)
        }
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The fields that are wrong, with `validation_failed`.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Its code.
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:tollgate:problem:{}", self.code.code()),
            title: self.code.title().into(),
            status: self.code.status(),
            detail: self.detail.clone().into_owned(),
            code: self.code.code().into(),
            errors: Some(self.errors.clone()).filter(|errors| !errors.is_empty()),
            balance: self.balance,
            spend_limit: self.spend_limit.as_deref().cloned(),
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Unavailable(_) | DbError::TimedOut(_) => {
                tracing::warn!(%error, "answered 503");
                Self::new(ProblemCode::Unavailable)
            }
            DbError::Constraint(_) | DbError::Inconsistent(_) | DbError::Driver(_) => {
                tracing::error!(%error, "answered 500");
                Self::new(ProblemCode::Internal)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::builder()
            .status(status)
            .content_type(CONTENT_TYPE)
            .body(self.document().to_json_string());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge(self.code) {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        headers.extend(self.headers);
        response
    }
}

/// RFC 6750 section 3: no `error` when no token was shown.
fn challenge(code: ProblemCode) -> Option<&'static str> {
    match code {
        ProblemCode::InvalidToken | ProblemCode::SessionRevoked => {
            Some(r#"Bearer realm="tollgate", error="invalid_token""#)
        }
        code if code.status() == 401 => Some(r#"Bearer realm="tollgate""#),
        _ => None,
    }
}

/// The statuses an operation may refuse with, beside those every operation shares.
pub trait Statuses: Send + Sync + 'static {
    /// The additional ones, ascending.
    const EXTRA: &'static [u16];
}

/// Refusals of an operation that needs an access token.
#[derive(Debug)]
pub struct SignedIn;
impl Statuses for SignedIn {
    const EXTRA: &'static [u16] = &[401];
}

/// Refusals of an operation for admins.
#[derive(Debug)]
pub struct AdminOnly;
impl Statuses for AdminOnly {
    const EXTRA: &'static [u16] = &[401, 403, 404, 409];
}

/// Refusals of an operation that anyone may call.
#[derive(Debug)]
pub struct Public;
impl Statuses for Public {
    const EXTRA: &'static [u16] = &[];
}

/// A problem answered by an operation whose documentation lists `S`.
#[derive(Debug)]
pub struct Refusal<S>(Problem, PhantomData<S>);

impl<S: Statuses, P: Into<Problem>> From<P> for Refusal<S> {
    fn from(problem: P) -> Self {
        let problem = problem.into();
        debug_assert!(
            SHARED
                .iter()
                .chain(S::EXTRA)
                .any(|status| *status == problem.code.status()),
            "{} is not documented for this operation",
            problem.code.code()
        );
        Self(problem, PhantomData)
    }
}

impl<S> From<Refusal<S>> for poem::Error {
    fn from(refusal: Refusal<S>) -> Self {
        Self::from_response(refusal.0.into_response())
    }
}

impl<S: Statuses> ApiResponse for Refusal<S> {
    fn meta() -> MetaResponses {
        let mut statuses: Vec<u16> = SHARED.iter().chain(S::EXTRA).copied().collect();
        statuses.sort_unstable();
        statuses.dedup();
        MetaResponses {
            responses: statuses.into_iter().map(documented).collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

fn documented(status: u16) -> MetaResponse {
    MetaResponse {
        description: describe(status),
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: CONTENT_TYPE,
            schema: ProblemDocument::schema_ref(),
        }],
        headers: vec![],
    }
}

fn describe(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read.",
        401 => "No token, or one that is not accepted.",
        402 => "Not enough credits.",
        403 => "Not allowed.",
        404 => "Not there, or somebody else's.",
        405 => "The resource does not take this method; `Allow` lists those it does.",
        409 => "In conflict with the present state.",
        412 => "Another version than `If-Match` names.",
        413 => "The body is over 64 KiB.",
        415 => "The body is not application/json.",
        422 => "A field is missing, unknown or out of range.",
        429 => "Too many requests; `Retry-After` says when to come back.",
        503 => "Cannot answer right now; `Retry-After` says when to come back.",
        _ => "Something went wrong on our side.",
    }
}

const CONTENT_TYPE: &str = "application/problem+json";
/// Any operation may meet these: reading the request, limits, our own failures.
const SHARED: &[u16] = &[400, 405, 413, 415, 422, 429, 500, 503];
/// A database that restarts is back within a second or two.
const RETRY_UNAVAILABLE_SECS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        for (i, code) in ProblemCode::ALL.iter().enumerate() {
            assert!(
                code.code()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!(
                ProblemCode::ALL[i + 1..]
                    .iter()
                    .all(|other| other.code() != code.code())
            );
        }
    }

    #[test]
    fn every_401_carries_a_challenge_and_503_says_when_to_retry() {
        for code in ProblemCode::ALL {
            let response = Problem::new(*code).into_response();
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(
                response.headers().contains_key("www-authenticate"),
                code.status() == 401
            );
            assert_eq!(
                response.headers().contains_key("retry-after"),
                code.status() == 503
            );
        }
    }

    #[test]
    fn driver_text_never_reaches_the_client() {
        let problem = Problem::from(DbError::Driver(sqlx::Error::Protocol(
            "secret detail".into(),
        )));
        assert!(
            !problem
                .document()
                .to_json_string()
                .contains("secret detail")
        );
        assert_eq!(problem.code(), ProblemCode::Internal);
    }
}
