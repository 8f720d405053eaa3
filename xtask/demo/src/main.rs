//! A backend to protect: the one of `cargo xtask dev`.
//!
//! Behind the gateway (`/api/…`) it answers with what reached it, so that one sees what the
//! gateway did. Around the gateway (`/direct/…`) it verifies tokens itself.
//!
//! `target/debug/demo-backend http://127.0.0.1:3001 127.0.0.1:9000`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use poem::http::header;
use poem::listener::TcpListener;
use poem::web::Json;
use poem::{EndpointExt, Request, Route, Server, get, handler};
use serde_json::{Value, json};
use shared_claims::Policy;
use shared_claims::fetch::{RemoteVerifier, Sources};
use shared_claims::middleware::{CurrentUser, Guard};

/// What reached the backend. Only the gateway can ask it: it listens on this machine alone.
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
    let address = args.next().ok_or(USAGE)?;

    // Which TLS the verifier uses is the application's choice.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is another TLS provider")?;
    let policy = Policy::new(issuer.clone(), "tollgate");
    let verifier = RemoteVerifier::new(policy, Sources::of_issuer(&issuer)?)?;
    let guarded = Route::new().at("/hello", get(hello));
    let app = Route::new()
        .nest("/direct", guarded.with(Guard::new(verifier)))
        .at("/*path", echo)
        .at("/", echo);

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

const USAGE: &str = "usage: demo-backend ISSUER_URL LISTEN_ADDRESS";

/// For requests that are under way.
const PATIENCE: Duration = Duration::from_secs(5);
