//! The upstream request, as instructions to the one forwarder, the entry.

use serde::Serialize;
use shared_claims::{AccessClaims, Verified};

use crate::answer::Metric;
use crate::charging::{CHARGED, Hold};
use crate::config::{Auth, Config, Method, RevocationMode, Route, Target, TokenSource};
use crate::cors::{self, HeaderList};
use crate::headers::encode_value;
use crate::paths;
use crate::request::Incoming;
use crate::routes;
use crate::tokens;
use crate::trace::Trace;

/// How to send a request on, and what to change in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// Index of the route, for the answer when forwarding fails.
    pub route: usize,
    /// The whole URL.
    pub url: String,
    /// What the request is called.
    pub request_id: String,
    /// The service binding to send it through; none means over the network.
    pub service: Option<String>,
    /// How long until the response headers must be there.
    pub timeout_ms: u32,
    /// The body's limit, where its size was not announced.
    pub count_body: Option<u64>,
    /// Request headers to remove, before `set`.
    pub remove: Vec<String>,
    /// Request headers to set.
    pub set: HeaderList,
    /// Whether a WebSocket has to be closed when its token is no longer accepted.
    pub watch: bool,
    /// Whom the data centre's counter of users counts this for.
    pub counted_as: Option<String>,
    /// Whether the answer says how long the backend took.
    pub server_timing: bool,
    /// What is counted.
    pub metric: Metric,
    /// Changes to the answer.
    pub answer: AnswerRules,
    /// Credits held for this request, to be settled when the backend has answered.
    pub hold: Option<Hold>,
}

/// Changes to a backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AnswerRules {
    /// Response headers to remove, before `set`.
    pub remove: Vec<&'static str>,
    /// Response headers to set.
    pub set: HeaderList,
    /// Response headers to add to those of the same name.
    pub append: HeaderList,
    /// Whether the answer depends on `Origin`.
    pub vary: bool,
}

/// Builds the instructions for an admitted request.
pub fn build(
    config: &Config,
    route: &Route,
    request: &Incoming<'_>,
    identity: Option<&Verified<AccessClaims>>,
) -> Forward {
    let mut remove: Vec<String> = request
        .headers
        .unwanted()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut set = forwarded(request);
    if !route.backend.forward_token {
        remove.push("authorization".into());
        withhold_cookie(route, request, &mut remove, &mut set);
        withhold_subprotocol(request, &mut remove, &mut set);
    }
    if let Some(identity) = identity {
        set.extend(identity_headers(identity));
    }
    let (url, service) = target(route, request);
    Forward {
        route: routes::index_of(config, route),
        url,
        request_id: String::new(),
        service,
        timeout_ms: route.timeout_ms,
        count_body: uncounted(request).then_some(route.max_body_bytes),
        remove,
        set,
        watch: identity.is_some()
            && route.revocation.mode == RevocationMode::Strict
            && request.headers.asks_for_websocket(),
        counted_as: None,
        server_timing: route.server_timing,
        metric: Metric::default(),
        answer: answer_rules(route, request),
        hold: None,
    }
}

impl Forward {
    /// Puts the names of the request where backend and client find them.
    pub fn name(&mut self, trace: &Trace) {
        if trace.drops_state {
            self.remove.push("tracestate".into());
        }
        self.set.extend(trace.headers());
        self.answer.set.extend(trace.headers());
        self.request_id.clone_from(&trace.request_id);
    }
}

fn target(route: &Route, request: &Incoming<'_>) -> (String, Option<String>) {
    let path = paths::strip_segments(request.raw_path, route.backend.strip_segments);
    let query = paths::encode_query(request.query);
    match &route.backend.target {
        Target::Url(base) => (format!("{base}{path}{query}"), None),
        Target::Service(name) => {
            let url = format!("{}://{}{path}{query}", request.scheme, request.authority);
            (url, Some(name.clone()))
        }
    }
}

/// What the backend may believe about the original request.
fn forwarded(request: &Incoming<'_>) -> HeaderList {
    let mut list = vec![
        ("x-forwarded-proto", request.scheme.to_owned()),
        (
            "x-forwarded-host",
            encode_value(request.authority).into_owned(),
        ),
    ];
    if let Some(ip) = request.client_ip() {
        list.push(("x-forwarded-for", ip.to_string()));
    }
    list
}

fn identity_headers(token: &Verified<AccessClaims>) -> HeaderList {
    let mut list = vec![
        ("x-auth-user", encode_value(&token.sub).into_owned()),
        ("x-auth-session", encode_value(&token.sid).into_owned()),
        ("x-auth-exp", token.exp.as_secs().to_string()),
    ];
    if let Some(role) = &token.role {
        list.push(("x-auth-role", encode_value(role).into_owned()));
    }
    if let Some(email) = token
        .email
        .as_ref()
        .filter(|_| token.email_verified == Some(true))
    {
        list.push(("x-auth-email", encode_value(email).into_owned()));
    }
    list
}

fn withhold_cookie(
    route: &Route,
    request: &Incoming<'_>,
    remove: &mut Vec<String>,
    set: &mut HeaderList,
) {
    let (TokenSource::Cookie(name), Some(cookies)) = (&route.token, request.headers.get("cookie"))
    else {
        return;
    };
    match tokens::without_cookie(cookies, name) {
        Some(rest) => set.push(("cookie", rest)),
        None => remove.push("cookie".into()),
    }
}

/// On every route: where the token is not taken from there, the backend is not to have it either.
fn withhold_subprotocol(request: &Incoming<'_>, remove: &mut Vec<String>, set: &mut HeaderList) {
    let Some(protocols) = request.headers.get(tokens::SUBPROTOCOLS) else {
        return;
    };
    match tokens::without_tokens(protocols) {
        Some(rest) if rest == protocols => {}
        Some(rest) => set.push((tokens::SUBPROTOCOLS, rest)),
        None => remove.push(tokens::SUBPROTOCOLS.into()),
    }
}

/// Whether a body may come whose size nobody has announced.
fn uncounted(request: &Incoming<'_>) -> bool {
    let may_have_body = !matches!(request.method, Some(Method::Get | Method::Head) | None);
    may_have_body && request.content_length().is_none()
}

/// What one person may see must not be shown to the next one by a cache in between.
fn answer_rules(route: &Route, request: &Incoming<'_>) -> AnswerRules {
    let mut rules = AnswerRules::default();
    // What a request has cost only this gateway says.
    if route.charge.is_some() {
        rules.remove.push(CHARGED);
    }
    if route.auth != Auth::None && !route.cache {
        rules
            .set
            .push(("cache-control", "private, no-store".into()));
    }
    if let Some(cors) = &route.cors {
        rules.remove.extend(BACKEND_CORS);
        rules
            .set
            .extend(cors::headers_for(cors, request.headers.get("origin")));
        rules.vary = true;
    }
    rules
}

/// Where the gateway has CORS rules, a backend's own must not widen them.
const BACKEND_CORS: &[&str] = &[
    "access-control-allow-origin",
    "access-control-allow-credentials",
];
