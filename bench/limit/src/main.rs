//! Handlers that do nothing behind the issuer's own middleware: how fast an operation could be at
//! most. `cargo xtask bench jwks` and `validate` compare the issuer with it.
//!
//! `LISTEN_ADDR=127.0.0.1:3101 target/release/bench-limit`

use std::error::Error;
use std::future;

use issuer::app::App;
use issuer::clock::Clock;
use issuer::config::{Config, Mode, Source};
use issuer::db::{Db, OnConnect};
use issuer::http::{self, Limits};
use issuer::ids::Entropy;
use issuer::secret::{MasterKey, SecretText};
use issuer::signing_keys::MasterKeys;
use issuer::telemetry;
use poem::web::Json;
use poem::{EndpointExt, Route, get, handler, post};
use serde::Deserialize;
use tokio::net::TcpListener;

/// As `POST /auth/validate` takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidateRequest {
    token: String,
}

#[handler]
fn empty() {}

#[handler]
fn parse(Json(request): Json<ValidateRequest>) -> &'static str {
    match request.token.is_empty() {
        true => "{\"valid\":false}",
        false => "{\"valid\":true}",
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve())
}

#[expect(
    clippy::disallowed_methods,
    reason = "read once, and given to the configuration"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn serve() -> Result<(), Box<dyn Error>> {
    // The middleware notes each request for its log lines.
    let _telemetry = telemetry::init(None, None)?;
    let lookup = |name: &str| variable(name).filter(|_| name == "LISTEN_ADDR");
    let config = Config::read(&mut Source::new(&lookup), Mode::Development)?;
    let address = config.http.listen;
    // Nothing here asks it.
    let database = SecretText::new("postgres://localhost/none".to_owned());
    let app = App::new(
        config,
        Db::open(&database, 1, OnConnect::Limit)?,
        Clock::System,
        Entropy::system(),
        MasterKeys::unchecked(MasterKey::from_bytes([0; 32])),
    );
    let route = Route::new()
        .at("/empty", get(empty))
        .at("/parse", post(parse));
    let shell = http::in_shell(&app, route.boxed());
    let listener = TcpListener::bind(address).await?;
    http::serve_on(listener, shell, Limits::of_this_system(), future::pending()).await?;
    Ok(())
}
