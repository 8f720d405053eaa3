//! What surrounds every request: its id, limits, headers, the form of refusals, metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderName, HeaderValue, Method, header};
use poem::{Endpoint, Error, IntoResponse, Request, Response, Result};
use poem_openapi::OperationId;
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError};
use tracing::Instrument;

use super::auth;
use super::client_ip::client_ip;
use super::cors::Cors;
use super::methods::Methods;
use super::problem::{FieldError, Problem, ProblemCode};
use super::rate_limit::{Class, Decision};
use super::read_body::read_body;
use super::request_info::{RequestInfo, user_agent};
use super::trace;
use crate::app::App;
use crate::config::Mode;

/// The API and the pages, inside what surrounds every request.
pub struct Shell {
    inner: BoxEndpoint<'static, Response>,
    app: Arc<App>,
    cors: Cors,
    methods: Methods,
}

impl Shell {
    /// Around `inner`; `methods` knows what each path takes.
    pub fn new(app: &Arc<App>, methods: Methods, inner: BoxEndpoint<'static, Response>) -> Self {
        Self {
            inner,
            app: Arc::clone(app),
            cors: Cors::new(&app.config.http.cors_origins),
            methods,
        }
    }

    /// Whose requests it takes.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }
}

impl Endpoint for Shell {
    type Output = Response;

    // An `async fn` would hold the request twice, and what it holds is moved with it.
    #[expect(clippy::manual_async_fn, reason = "said above")]
    fn call(&self, mut request: Request) -> impl Future<Output = Result<Response>> + Send {
        async move {
            let info = self.request_info(&request);
            let origin = request.headers().get(header::ORIGIN).cloned();
            let timer = self.app.metrics.request_started();
            let id = info.id.clone();
            let span = trace::span(&id, &request);
            let decision = self.draw(&request, &info).await;
            let mut response = match self.turn_away(&request, decision.as_ref()) {
                Some(response) => response,
                None => {
                    request.set_data(info);
                    request.set_data(Arc::clone(&self.app));
                    match read_body(&mut request).await {
                        Ok(()) => self.run(request).instrument(span.clone()).await,
                        Err(problem) => problem.into_response(),
                    }
                }
            };
            if let Some(decision) = decision {
                limit_headers(&mut response, &decision);
            }
            self.finish(&mut response, origin.as_ref(), &id);
            let operation = response
                .data::<OperationId>()
                .map_or("none", |operation| operation.0);
            let status = response.status().as_u16();
            trace::finish(&span, operation, status);
            timer.finish(operation, status);
            Ok(response)
        }
    }
}

impl Shell {
    fn request_info(&self, request: &Request) -> RequestInfo {
        let agent = request.header(header::USER_AGENT).and_then(user_agent);
        RequestInfo {
            id: self.app.entropy.request_id(),
            ip: client_ip(
                request.remote_addr(),
                request.headers(),
                &self.app.config.http.trusted_proxies,
            ),
            user_agent: agent,
        }
    }

    /// What is answered before the API sees the request.
    fn turn_away(&self, request: &Request, decision: Option<&Decision>) -> Option<Response> {
        if self.app.config.mode == Mode::Development && !names_loopback(request) {
            let words = "Development mode answers only to a loopback Host.";
            return Some(Problem::with_detail(ProblemCode::Forbidden, words).into_response());
        }
        if let Some(preflight) = self.cors.preflight(request) {
            return Some(preflight);
        }
        let refused = decision.filter(|decision| !decision.allowed)?;
        Some(Problem::rate_limited(refused.reset_secs).into_response())
    }

    async fn draw(&self, request: &Request, info: &RequestInfo) -> Option<Decision> {
        let free = self.app.config.mode == Mode::Development && info.ip.is_loopback();
        let class = limit_class(request.method(), request.uri().path()).filter(|_| !free)?;
        let class = if names_service(request) {
            Class::Service
        } else {
            class
        };
        Some(
            self.app
                .limiter
                .draw_for_address(class, info.ip, self.app.clock.now())
                .await,
        )
    }

    /// The operation in its time. It is begun here, so that what is awaited need not hold the
    /// request as well.
    fn run(&self, request: Request) -> impl Future<Output = Response> + Send {
        let path = request.uri().path().to_owned();
        let work = DynEndpoint::call(self.inner.as_ref(), request);
        let work = AssertUnwindSafe(work).catch_unwind();
        self.answer(path, work)
    }

    async fn answer(
        &self,
        path: String,
        work: impl Future<Output = thread::Result<Result<Response>>> + Send,
    ) -> Response {
        match tokio::time::timeout(answer_within(&path), work).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(error))) if error.is_from_response() => {
                let operation = error
                    .data::<OperationId>()
                    .map(|operation| OperationId(operation.0));
                let mut response = error.into_response();
                if let Some(operation) = operation {
                    response.set_data(operation);
                }
                response
            }
            Ok(Ok(Err(error))) => self.explain(&error, &path).into_response(),
            Ok(Err(_panic)) => {
                tracing::error!("a handler panicked");
                Problem::new(ProblemCode::Internal).into_response()
            }
            Err(_elapsed) => Problem::new(ProblemCode::Unavailable).into_response(),
        }
    }

    /// Turns what poem refuses into a problem of ours, without its text.
    fn explain(&self, error: &Error, path: &str) -> Problem {
        if error.is::<NotFoundError>() {
            return Problem::new(ProblemCode::NotFound);
        }
        if error.is::<MethodNotAllowedError>() {
            let allow = self.methods.of(path);
            return Problem::new(ProblemCode::MethodNotAllowed).with_header(header::ALLOW, allow);
        }
        if error.is::<ContentTypeError>() {
            return Problem::new(ProblemCode::UnsupportedMediaType);
        }
        let parameter = error
            .downcast_ref::<ParseParamError>()
            .map(|error| error.name)
            .or_else(|| {
                error
                    .downcast_ref::<ParsePathError>()
                    .map(|error| error.name)
            });
        match parameter {
            Some(name) => Problem::validation(vec![FieldError::new(
                name,
                "does not have the documented form",
            )]),
            None => {
                tracing::error!(%error, "an error without a problem");
                Problem::new(ProblemCode::Internal)
            }
        }
    }

    fn finish(&self, response: &mut Response, origin: Option<&HeaderValue>, id: &str) {
        self.cors.decorate(response, origin);
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        for (name, value) in SECURITY_HEADERS {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        if self.app.config.http.is_https() {
            headers.insert(
                header::STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static(HSTS),
            );
        }
    }
}

fn answer_within(path: &str) -> Duration {
    match path {
        "/api/v1/auth/register"
        | "/api/v1/auth/login"
        | "/api/v1/auth/reauthenticate"
        | "/api/v1/auth/reset-password"
        | "/api/v1/auth/change-password"
        | "/account/reset-password" => ANSWER_WITH_HASHING_WITHIN,
        "/api/v1/credits/checkout" => ANSWER_WITH_STRIPE_WITHIN,
        _ => ANSWER_WITHIN,
    }
}

fn limit_class(method: &Method, path: &str) -> Option<Class> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return (path == "/api/v1/auth/export").then_some(Class::Export);
    }
    match path {
        // Reports come in bursts from a few addresses; what is not signed costs one HMAC.
        "/api/v1/webhooks/stripe" => None,
        "/api/v1/auth/register" => Some(Class::Register),
        "/api/v1/auth/login"
        | "/api/v1/auth/login/second-factor"
        | "/api/v1/auth/login/second-factor/passkey-options"
        | "/api/v1/auth/passkeys/sign-in"
        | "/api/v1/auth/passkeys/sign-in/options"
        | "/api/v1/auth/reauthenticate" => Some(Class::Login),
        "/api/v1/auth/refresh" => Some(Class::Refresh),
        "/api/v1/auth/validate" => Some(Class::Validate),
        _ => Some(Class::Write),
    }
}

/// Whether a service's secret is shown where services may ask for something. It may be a wrong one:
/// finding that out costs one look-up, and 256 bits are not guessed.
fn names_service(request: &Request) -> bool {
    request.uri().path().starts_with("/api/v1/credits/") && auth::shows_service_secret(request)
}

fn limit_headers(response: &mut Response, decision: &Decision) {
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("ratelimit-limit"),
        decision.limit.into(),
    );
    headers.insert(
        HeaderName::from_static("ratelimit-remaining"),
        decision.remaining.into(),
    );
    headers.insert(
        HeaderName::from_static("ratelimit-reset"),
        decision.reset_secs.into(),
    );
}

/// A page of another origin can make a browser resolve its own name to 127.0.0.1; the `Host`
/// header gives it away.
fn names_loopback(request: &Request) -> bool {
    let Some(host) = request.header(header::HOST) else {
        return true;
    };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

/// Callers learn within 2 s that the database does not answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(1900);
/// A password may wait for a slot before it is hashed.
const ANSWER_WITH_HASHING_WITHIN: Duration = Duration::from_secs(8);
/// Three attempts of five seconds, the pauses between them, and the database before and after.
const ANSWER_WITH_STRIPE_WITHIN: Duration = Duration::from_secs(20);
const HSTS: &str = "max-age=63072000; includeSubDomains";
const SECURITY_HEADERS: &[(HeaderName, &str)] = &[
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];
