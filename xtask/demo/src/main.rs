//! A backend to protect: the one of `cargo xtask dev`.
//!
//! Behind the gateway (`/api/…`) it answers with what reached it, so that one sees what the
//! gateway did, and refuses whoever has come around the gateway: what the gateway says of a request
//! is signed. On `/direct/…`, around the gateway, it verifies tokens itself.
//!
//! `target/debug/demo-backend http://127.0.0.1:3001 http://127.0.0.1:8787 127.0.0.1:9000`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use poem::http::{StatusCode, header};
use poem::listener::TcpListener;
use poem::web::Json;
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler};
use serde_json::{Value, json};
use shared_claims::fetch::{EdgeVerifier, FetchError, RemoteVerifier, Sources};
use shared_claims::middleware::{CurrentUser, Guard};
use shared_claims::{Policy, Received, VerifyError};

/// Lets pass what the gateway has signed for this backend, method, path and query.
async fn from_the_gateway<E: Endpoint>(
    gateway: EdgeVerifier,
    endpoint: std::sync::Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let target = request.original_uri().path_and_query();
    let received = Received {
        method: request.method().as_str(),
        target: target.map_or("/", |target| target.as_str()),
    };
    let assertion = request.header("x-edge-assertion").unwrap_or("");
    match gateway.verify(assertion, received).await {
        Ok(_) => Ok(endpoint.call(request).await?.into_response()),
        Err(error) => Ok(refused(error)),
    }
}

fn refused(error: FetchError) -> Response {
    let (status, code) = match error {
        FetchError::Refused(error) => (StatusCode::UNAUTHORIZED, error.code()),
        FetchError::Unavailable { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            VerifyError::KeysUnavailable.code(),
        ),
    };
    let problem = json!({
        "type": format!("urn:tollgate:problem:{code}"),
        "title": "Come through the gateway.",
        "status": status.as_u16(),
        "detail": "This backend answers requests that the gateway has signed for it.",
        "code": code,
    });
    Json(problem)
        .with_content_type("application/problem+json")
        .with_status(status)
        .into_response()
}

/// Whether the process is alive; says nothing else, and so to anyone.
#[handler]
fn alive() -> &'static str {
    "alive\n"
}

/// What reached the backend through the gateway.
#[handler]
fn echo(request: &Request) -> Json<Value> {
    let headers = request.headers().iter();
    let identity: BTreeMap<_, _> = headers
        .filter(|(name, _)| name.as_str().starts_with("x-auth-"))
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    Json(json!({
        "method": request.method().as_str(),
        "path": request.original_uri().to_string(),
        "identity": identity,
        "sawToken": request.headers().contains_key(header::AUTHORIZATION),
    }))
}

/// Whoever has a good token, and nobody else.
#[handler]
fn hello(user: &CurrentUser) -> Json<Value> {
    Json(json!({ "user": user.sub, "role": user.role }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let issuer = args.next().ok_or(USAGE)?;
    let edge = args.next().ok_or(USAGE)?;
    let address = args.next().ok_or(USAGE)?;

    // Which TLS the verifier uses is the application's choice.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is another TLS provider")?;
    let policy = Policy::new(issuer.clone(), "tollgate");
    let verifier = RemoteVerifier::new(policy, Sources::of_issuer(&issuer)?)?;
    let guarded = Route::new().at("/hello", get(hello));
    let keys = format!("{edge}/.well-known/edge-jwks.json");
    let gateway = EdgeVerifier::new("tollgate-edge", "demo", &keys)?;
    let signed =
        echo.around(move |endpoint, request| from_the_gateway(gateway.clone(), endpoint, request));
    let app = Route::new()
        .nest("/direct", guarded.with(Guard::new(verifier)))
        .at("/*path", signed)
        .at("/alive", get(alive));

    let stopped = async {
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        match &mut terminated {
            Some(terminated) => drop(terminated.recv().await),
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    let server = Server::new(TcpListener::bind(address));
    Ok(server
        .run_with_graceful_shutdown(app, stopped, Some(PATIENCE))
        .await?)
}

const USAGE: &str = "usage: demo-backend ISSUER_URL EDGE_URL LISTEN_ADDRESS";

/// For requests that are under way.
const PATIENCE: Duration = Duration::from_secs(5);
