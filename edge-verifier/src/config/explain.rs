//! What the gateway would do with a request, in words: for people who wonder why.

use crate::forward;
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::routes::{self, Found};

use super::{Auth, Config, Route, Target, TokenSource, effective};

/// Explains a request without headers. `url` may leave out scheme and host.
pub fn explain(config: &Config, method: &str, url: &str) -> String {
    let url = if url.starts_with('/') {
        format!("http://any.host{url}")
    } else {
        url.to_owned()
    };
    let text = format!("{method}\n{url}\n");
    let request = match Incoming::parse(&text) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    if request.path.starts_with(routes::RESERVED_PREFIX) {
        return "answered by the gateway itself, never forwarded\n".into();
    }
    match routes::find(config, &request.host(), &request.path, request.method) {
        Found::Route(route) => admitted(config, route, &request),
        Found::OtherMethods(route) => {
            let allow = routes::allowed_methods(config, route);
            let text = refused(&Refusal::MethodNotAllowed {
                allow: allow.clone(),
            });
            format!("{text}its path takes {allow}\n")
        }
        Found::Nothing => refused(&Refusal::RouteNotFound),
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("refused with {} {}\n", refusal.status(), refusal.code())
}

fn admitted(config: &Config, route: &Route, request: &Incoming<'_>) -> String {
    let forward = forward::build(config, route, request, None);
    let backend = match &route.backend.target {
        Target::Url(_) => forward.url,
        Target::Service(name) => format!("service {name}, {}", forward.url),
    };
    let rows = [
        ("route", route.id.clone()),
        ("token", token(route)),
        ("revocation", effective::revocation(route)),
        ("cors", effective::cors(route)),
        ("limits", effective::limits(route)),
        ("cost", effective::cost(route)),
        ("goes to", backend),
        ("gets", gets(route)),
        ("withheld", withheld(route).to_owned()),
    ];
    let lines: Vec<String> = rows
        .iter()
        .map(|(name, value)| format!("{name:<11} {value}"))
        .collect();
    lines.join("\n") + "\n"
}

fn token(route: &Route) -> String {
    match (route.auth, &route.reason) {
        (Auth::None, reason) => format!("not looked at: {}", reason.as_deref().unwrap_or("")),
        (Auth::Optional, _) => effective::auth(route),
        (Auth::Required, _) => format!("needed for {}", effective::auth(route)),
    }
}

fn gets(route: &Route) -> String {
    let identity = match route.auth {
        Auth::None => "no x-auth-* whatever the client sends",
        Auth::Optional => "x-auth-* when there is a token",
        Auth::Required => "x-auth-user, -session, -exp, -role, and -email when verified",
    };
    let mut text = format!("x-forwarded-*, x-request-id, traceparent; {identity}");
    if let Some(name) = route
        .backend
        .name
        .as_ref()
        .filter(|_| route.backend.assertion)
    {
        text.push_str("; x-edge-assertion to ");
        text.push_str(name);
    }
    text
}

const fn withheld(route: &Route) -> &'static str {
    match (route.backend.forward_token, &route.token) {
        (true, _) => "nothing: the backend gets the token",
        (false, TokenSource::Bearer) => "authorization",
        (false, TokenSource::Cookie(_)) => "authorization and the token cookie",
        (false, TokenSource::Websocket) => "authorization and the subprotocol with the token",
    }
}
