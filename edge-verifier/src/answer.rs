//! Answers the gateway gives itself, as data the entry turns into a response.

use serde::Serialize;
use shared_claims::UnixMillis;

use crate::config::{Config, Cors, Route};
use crate::cors::{self, HeaderList};
use crate::refusal::Refusal;
use crate::routes;
use crate::state::State;

/// A response without a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, each name once.
    pub headers: HeaderList,
    /// Text of the body; none where the status forbids one.
    pub body: Option<String>,
    /// A line for the log, as JSON.
    pub log: Option<String>,
    /// Whom the data centre's counter of refused tokens counts this for.
    pub counted_as: Option<String>,
    /// The index of the route, where there is one.
    pub route: Option<usize>,
    /// What is counted.
    pub metric: Metric,
}

/// What a decision is counted under.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// The id of the route; empty where there is none.
    pub route: String,
    /// The code of a refusal, `forwarded`, or empty for answers of the gateway itself.
    pub code: &'static str,
    /// The state of the token keys.
    pub keys: &'static str,
}

impl Answer {
    /// An answer that is neither logged nor counted under a code.
    pub fn plain(status: u16, headers: HeaderList, body: Option<String>) -> Self {
        Self {
            status,
            headers,
            body,
            log: None,
            counted_as: None,
            route: None,
            metric: Metric::default(),
        }
    }
}

/// One line per refusal. No token, no path, no address.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogLine<'a> {
    event: &'a str,
    route: Option<&'a str>,
    status: u16,
    code: &'a str,
    keys: &'a str,
    feed_age_secs: Option<u64>,
    request_id: &'a str,
}

/// The answer to an allowed preflight.
pub fn preflight(mut headers: HeaderList) -> Answer {
    headers.push(("vary", PREFLIGHT_VARY.to_owned()));
    Answer::plain(204, headers, None)
}

/// A problem document, readable by pages where the route's CORS rules say so.
pub fn refusal(
    config: &Config,
    state: &State,
    now: UnixMillis,
    route: Option<&Route>,
    origin: Option<&str>,
    refusal: &Refusal,
    request_id: &str,
) -> Answer {
    let mut headers = refusal.headers();
    headers.push(("x-request-id", request_id.to_owned()));
    if let Some(cors) = rules(config, route) {
        headers.extend(cors::headers_for(cors, origin));
        headers.push(("access-control-expose-headers", EXPOSED.to_owned()));
        headers.push(("vary", "Origin".to_owned()));
    }
    let line = LogLine {
        event: "refused",
        route: route.map(|route| route.id.as_str()),
        status: refusal.status(),
        code: refusal.code(),
        keys: state.keys_word(now),
        feed_age_secs: state.feed_age_secs(now),
        request_id,
    };
    let log = serde_json::to_string(&line).expect("strings and numbers always serialise");
    Answer {
        status: refusal.status(),
        headers,
        body: Some(refusal.body()),
        log: Some(log),
        counted_as: None,
        route: route.map(|route| routes::index_of(config, route)),
        metric: Metric {
            route: route.map_or_else(String::new, |route| route.id.clone()),
            code: refusal.code(),
            keys: state.keys_word(now),
        },
    }
}

fn rules<'c>(config: &'c Config, route: Option<&'c Route>) -> Option<&'c Cors> {
    match route {
        Some(route) => route.cors.as_ref(),
        None => config.default_cors.as_ref(),
    }
}

const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
/// What a page needs to react to a refusal.
const EXPOSED: &str = "WWW-Authenticate, Retry-After, X-Request-Id";
