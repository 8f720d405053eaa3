//! Who is asking: a bearer token that the verifier accepts, or the secret of a service.

use std::sync::Arc;

use poem::http::header;
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use shared_claims::{AccessClaims, Verified};

use super::problem::{AdminOnly, Problem, ProblemCode, Refusal, SignedIn};
use crate::app::App;
use crate::apps::{self, Service};
use crate::sessions::access_token;

/// The signed-in user of this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user (`sub`).
    pub user_id: String,
    /// The session (`sid`).
    pub session_id: String,
}

/// A signed-in admin by their token. The database is asked again by every act.
#[derive(Debug)]
pub struct AdminCaller(pub Caller);

/// A signed-in user or a service of an app.
#[derive(Debug)]
pub enum UserOrService {
    /// By an access token.
    User(Caller),
    /// By a secret that begins with `tgs_`.
    Service(Service),
}

/// The signed-in user where signing in is one of two ways.
#[derive(Debug)]
pub struct OptionalCaller(pub Option<Caller>);

impl OptionalCaller {
    fn of(request: &Request) -> Result<Self, Problem> {
        match Caller::of(request) {
            Ok(caller) => Ok(Self(Some(caller))),
            Err(problem) if problem.code() == ProblemCode::MissingToken => Ok(Self(None)),
            Err(problem) => Err(problem),
        }
    }
}

impl Caller {
    fn of(request: &Request) -> Result<Self, Problem> {
        let claims = claims(request)?;
        Ok(Self {
            user_id: claims.sub.clone(),
            session_id: claims.sid.clone(),
        })
    }
}

impl AdminCaller {
    fn of(request: &Request) -> Result<Self, Problem> {
        let claims = claims(request)?;
        if claims.role.as_deref() != Some("admin") || claims.act.is_some() {
            return Err(Problem::new(ProblemCode::Forbidden));
        }
        Ok(Self(Caller {
            user_id: claims.sub.clone(),
            session_id: claims.sid.clone(),
        }))
    }
}

impl UserOrService {
    async fn of(request: &Request) -> Result<Self, Problem> {
        let token = bearer_token(request)?.unwrap_or_default();
        if !token.starts_with(apps::SECRET_PREFIX) {
            return Caller::of(request).map(Self::User);
        }
        let service = apps::authenticate(app(request)?, token).await?;
        let refuse = || Problem::with_detail(ProblemCode::InvalidToken, "unknown_service");
        service.map(Self::Service).ok_or_else(refuse)
    }
}

/// Whether the bearer token has the form of a service's secret; it may be anybody's.
pub fn shows_service_secret(request: &Request) -> bool {
    let token = bearer_token(request).ok().flatten();
    token.is_some_and(|token| token.starts_with(apps::SECRET_PREFIX))
}

fn app(request: &Request) -> Result<&Arc<App>, Problem> {
    request
        .data()
        .ok_or_else(|| Problem::new(ProblemCode::Internal))
}

fn claims(request: &Request) -> Result<Verified<AccessClaims>, Problem> {
    let token = bearer_token(request)?.ok_or_else(|| Problem::new(ProblemCode::MissingToken))?;
    access_token::verify(app(request)?, token)
}

/// RFC 6750 section 2.1; exactly one header, or none.
fn bearer_token(request: &Request) -> Result<Option<&str>, Problem> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = || Problem::with_detail(ProblemCode::InvalidToken, "malformed");
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token)),
        _ => Ok(None),
    }
}

/// An extractor that reads the `Authorization` header: how a request becomes one, and the statuses
/// of its refusals. One that is content with no header says so.
macro_rules! bearer_extractor {
    ($caller:ty, $statuses:ty, $read:expr $(, $fallback:literal)?) => {
        impl<'a> ApiExtractor<'a> for $caller {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_bearer(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![SCHEME]
            }

            $(fn has_security_fallback() -> bool {
                $fallback
            })?

            async fn from_request(
                request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> Result<Self> {
                let read: Result<Self, Problem> = $read(request).await;
                read.map_err(|problem| Refusal::<$statuses>::from(problem).into())
            }
        }
    };
}

bearer_extractor!(Caller, SignedIn, async |request| Caller::of(request));
bearer_extractor!(AdminCaller, AdminOnly, async |request| AdminCaller::of(
    request
));
bearer_extractor!(UserOrService, SignedIn, UserOrService::of);
bearer_extractor!(
    OptionalCaller,
    SignedIn,
    async |request| OptionalCaller::of(request),
    true
);

fn register_bearer(registry: &mut Registry) {
    registry.create_security_scheme(
        SCHEME,
        MetaSecurityScheme {
            ty: "http",
            description: Some("The access token of a login or refresh."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT"),
            flows: None,
            openid_connect_url: None,
        },
    );
}

const SCHEME: &str = "accessToken";
