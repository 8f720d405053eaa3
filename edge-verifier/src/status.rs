//! `GET /.well-known/edge/status`: what this isolate knows. No secret, no backend address.

use serde::Serialize;
use shared_claims::UnixMillis;

use crate::answer::Answer;
use crate::config::{Config, Method};
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::state::State;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    version: &'static str,
    issuer: &'a str,
    n_routes: usize,
    jwks: Jwks,
    revocations: Option<Feed>,
    signatures: Signatures,
    problems: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Jwks {
    state: &'static str,
    age_secs: Option<u64>,
    generation: Option<String>,
    kids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Feed {
    epoch: u64,
    seq: u64,
    age_secs: u64,
    n_entries: usize,
}

/// How signatures are verified.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signatures {
    fast: bool,
    n_fast: u64,
    n_confirmed: u64,
    n_alarms: u32,
}

/// Answers a request below the reserved prefix.
pub fn answer(
    config: &Config,
    state: &State,
    request: &Incoming<'_>,
    now: UnixMillis,
) -> Result<Answer, Refusal> {
    if request.path != STATUS_PATH {
        return Err(Refusal::RouteNotFound);
    }
    if !matches!(request.method, Some(Method::Get | Method::Head)) {
        return Err(Refusal::MethodNotAllowed {
            allow: "GET, HEAD".into(),
        });
    }
    let body = serde_json::to_string(&status(config, state, now))
        .expect("strings and numbers always serialise");
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ];
    let status = if state.setup.problems().is_empty() {
        200
    } else {
        500
    };
    Ok(Answer::plain(status, headers, Some(body)))
}

fn status<'a>(config: &'a Config, state: &'a State, now: UnixMillis) -> Status<'a> {
    let keys = state.keys.usable(now);
    let kernel = state.verifier.kernel();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        issuer: &state.verifier.policy().issuer,
        n_routes: config.routes.len(),
        jwks: Jwks {
            state: state.keys_word(now),
            age_secs: state.keys.age_secs(now),
            generation: keys.map(|keys| format!("{:016x}", keys.fingerprint())),
            kids: keys.map_or_else(Vec::new, |keys| {
                keys.kids().map(|kid| kid.as_str().to_owned()).collect()
            }),
        },
        revocations: state.feed.held().map(|held| Feed {
            epoch: held.epoch(),
            seq: held.seq(),
            age_secs: held.age_secs(now.to_secs()),
            n_entries: held.len(),
        }),
        signatures: Signatures {
            fast: kernel.is_on,
            n_fast: kernel.n_by_tables,
            n_confirmed: kernel.n_confirmed,
            n_alarms: kernel.n_alarms,
        },
        problems: state.setup.problems(),
    }
}

const STATUS_PATH: &str = "/.well-known/edge/status";
