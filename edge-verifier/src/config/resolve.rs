//! From keys as written to rules as applied: defaults, and rules between keys.

use super::charge_keys::Around;
use super::keys::{BackendKeys, CorsKeys, EdgeKeys, IssuerKeys, RouteKeys, RuleKeys};
use super::reader::{At, Table};
use super::{
    Auth, Backend, Config, Cors, Edge, Issuer, JwksRule, Limits, Method, OnStale, RevocationMode,
    RevocationRule, Route, Target, TokenSource,
};

/// Builds the configuration; whatever is missing or contradictory is noted on `file`.
pub(super) fn config(
    file: &Table<'_>,
    issuer: Option<At<IssuerKeys>>,
    edge: EdgeKeys,
    defaults: &RuleKeys,
    routes: Vec<RouteKeys>,
) -> Option<Config> {
    refuse_open_defaults(file, defaults);
    let issuer = issuer.and_then(|keys| resolve_issuer(file, keys));
    let audience = issuer.as_ref().map_or("", |issuer| &issuer.audience);
    let mut resolved: Vec<At<Route>> = Vec::with_capacity(routes.len());
    for keys in routes {
        let line = keys.line;
        if let Some(route) = resolve_route(file, keys, defaults, audience) {
            refuse_clash(file, &resolved, line, &route);
            resolved.push(At::new(line, route));
        }
    }
    let mut routes: Vec<Route> = resolved.into_iter().map(|route| route.value).collect();
    routes.sort_by_key(|route| core::cmp::Reverse(route.weight()));
    let default_cors = defaults
        .cors
        .as_ref()
        .and_then(|keys| resolve_cors(file, keys));
    Some(Config {
        issuer: issuer?,
        edge: Edge {
            iss: edge
                .iss
                .map_or_else(|| DEFAULT_EDGE_ISS.into(), |at| at.value),
        },
        default_cors,
        routes,
    })
}

fn resolve_issuer(file: &Table<'_>, keys: At<IssuerKeys>) -> Option<Issuer> {
    let At { line, value: keys } = keys;
    if keys.audience.is_none() {
        file.note(
            line,
            "[issuer] names no audience",
            "add audience = \"tollgate\" (the issuer's JWT_AUDIENCE), so that tokens for others are refused",
        );
    }
    if keys.url.is_none() {
        file.note(
            line,
            "[issuer] has no usable url",
            "add url = \"https://id.example.com\"",
        );
    }
    let soft_secs = keys.soft_s.map_or(DEFAULT_SOFT_SECS, |at| at.value);
    let hard_secs = keys
        .hard_s
        .map_or(DEFAULT_HARD_SECS.max(soft_secs), |at| at.value);
    if soft_secs > hard_secs {
        let line = keys.hard_s.or(keys.soft_s).map_or(line, |at| at.line);
        file.note(
            line,
            "`soft_s` of [issuer] jwks is greater than `hard_s`",
            "keep soft_s ≤ hard_s",
        );
    }
    let timeout_ms = keys
        .timeout_ms
        .map_or(DEFAULT_ISSUER_TIMEOUT_MS, |at| narrow(at.value));
    Some(Issuer {
        url: keys.url?.value,
        iss: keys.iss.map(|at| at.value),
        audience: keys.audience?.value,
        jwks: JwksRule {
            soft_secs,
            hard_secs,
            timeout_ms,
        },
    })
}

fn resolve_route(
    file: &Table<'_>,
    keys: RouteKeys,
    defaults: &RuleKeys,
    audience: &str,
) -> Option<Route> {
    let line = keys.line;
    let id = missing(
        file,
        line,
        keys.id,
        "id",
        "a short name for logs, such as id = \"orders\"",
    );
    let path = missing(
        file,
        line,
        keys.path,
        "path",
        "path = \"/orders/*\" or an exact path",
    );
    let rules = keys.rules.or(defaults);
    refuse_auth_without_reason(file, line, &rules);
    refuse_limits_of_nobody(file, &rules);
    let cors = rules
        .cors
        .as_ref()
        .and_then(|keys| resolve_cors(file, keys));
    let revocation = resolve_revocation(&rules);
    let limits = resolve_limits(&rules);
    let auth = rules.auth.map_or(Auth::Required, |at| at.value);
    let around = Around::of(line, auth, rules.audience.as_ref(), audience);
    let charge = rules.charge.resolve(file, &around);
    let literal = path.as_ref().map(|path| path.value.literal.as_str());
    let backend = resolve_backend(file, line, rules.backend, literal);
    let route = Route {
        id: id?.value,
        host: keys.host.map(|at| at.value),
        methods: rules
            .methods
            .map_or_else(|| vec![Method::Get, Method::Head], |at| at.value),
        auth,
        reason: rules.reason.map(|at| at.value),
        audience: rules
            .audience
            .map_or_else(|| audience.to_owned(), |at| at.value),
        roles: rules.roles.map_or_else(Vec::new, |at| at.value),
        token: rules.token.map_or(TokenSource::Bearer, |at| at.value),
        revocation,
        charge,
        timeout_ms: narrow(rules.timeout_ms.map_or(DEFAULT_TIMEOUT_MS, |at| at.value)),
        max_body_bytes: rules
            .max_body_bytes
            .map_or(DEFAULT_BODY_BYTES, |at| at.value),
        cache: rules.cache.is_some_and(|at| at.value),
        limits,
        server_timing: rules.server_timing.is_some_and(|at| at.value),
        cors,
        path: path?.value,
        backend: backend?,
    };
    refuse_cookie_without_origins(file, line, &route);
    refuse_no_methods(file, line, &route);
    Some(route)
}

fn refuse_no_methods(file: &Table<'_>, line: usize, route: &Route) {
    if route.methods.is_empty() {
        file.note(
            line,
            "a route without methods takes no request",
            "list at least one method",
        );
    }
}

fn resolve_revocation(rules: &RuleKeys) -> RevocationRule {
    let keys = &rules.revocation;
    RevocationRule {
        mode: keys.mode.map_or(RevocationMode::Bounded, |at| at.value),
        max_age_secs: keys.max_age_s.map_or(DEFAULT_FEED_AGE_SECS, |at| at.value),
        on_stale: keys.on_stale.map_or(OnStale::Open, |at| at.value),
    }
}

/// A route that looks at no token has neither users nor failures; what it inherits is for others.
fn resolve_limits(rules: &RuleKeys) -> Limits {
    if rules.auth.is_some_and(|auth| auth.value == Auth::None) {
        return Limits::default();
    }
    Limits {
        per_user: rules.limits.per_user.map(|at| at.value),
        failed_auth: rules.limits.failed_auth.map(|at| at.value),
    }
}

fn resolve_cors(file: &Table<'_>, keys: &At<CorsKeys>) -> Option<Cors> {
    let At { line, value: keys } = keys;
    let origins = keys
        .origins
        .as_ref()
        .map_or_else(Vec::new, |at| at.value.clone());
    let credentials = keys.credentials.is_some_and(|at| at.value);
    let any = origins.iter().any(|origin| origin == "*");
    if any && origins.len() > 1 {
        file.note(
            *line,
            "`origins` lists * beside others",
            "list either * or origins",
        );
    }
    if any && credentials {
        let remedy = "list the origins, or set credentials = false";
        file.note(*line, "cors allows credentials to every origin", remedy);
    }
    let max_age_secs = keys.max_age_s.map_or(DEFAULT_PREFLIGHT_SECS, |at| at.value);
    (!origins.is_empty()).then_some(Cors {
        origins,
        credentials,
        max_age_secs,
    })
}

fn resolve_backend(
    file: &Table<'_>,
    route_line: usize,
    keys: Option<At<BackendKeys>>,
    literal: Option<&str>,
) -> Option<Backend> {
    let Some(At { line, value: keys }) = keys else {
        file.note(
            route_line,
            "a route without a backend has nowhere to send requests",
            "add backend = { service = \"NAME\" } or backend = { url = \"…\" }",
        );
        return None;
    };
    let assertion = resolve_assertion(file, line, &keys);
    let strip_segments = resolve_strip(file, keys.strip_prefix, literal);
    let target = match (keys.url, keys.service) {
        (Some(url), None) => Target::Url(url.value),
        (None, Some(service)) => Target::Service(service.value),
        _ => {
            file.note(
                line,
                "a backend needs exactly one of `url` and `service`",
                "keep one of them",
            );
            return None;
        }
    };
    let by_default = assertion.then(|| match &target {
        Target::Url(name) | Target::Service(name) => name.clone(),
    });
    Some(Backend {
        name: keys.name.map(|name| name.value).or(by_default),
        assertion,
        target,
        forward_token: keys.forward_token,
        strip_segments: strip_segments?,
    })
}

/// `assertion` is true for URL backends unless `trust = "network"` is spelled out. What comes
/// through a service binding cannot come from anybody else.
fn resolve_assertion(file: &Table<'_>, line: usize, keys: &BackendKeys) -> bool {
    let is_needed = keys.url.is_some() && !keys.trust_network;
    let assertion = keys.assertion.map_or(is_needed, |at| at.value);
    if is_needed && !assertion {
        file.note(
            line,
            "a URL backend without assertion would believe anyone who reaches it",
            "remove assertion = false and have the backend verify x-edge-assertion, or write \
             trust = \"network\" if only this gateway can reach it",
        );
    }
    assertion
}

fn resolve_strip(
    file: &Table<'_>,
    prefix: Option<At<String>>,
    literal: Option<&str>,
) -> Option<u32> {
    let Some(At {
        line,
        value: prefix,
    }) = prefix
    else {
        return Some(0);
    };
    let inside = literal?.strip_prefix(prefix.as_str());
    if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Some(narrow(prefix.matches('/').count() as u64));
    }
    let what = format!("`strip_prefix` {prefix:?} is no beginning of the route's path");
    file.note(line, what, "use whole leading segments of that path");
    None
}

fn refuse_open_defaults(file: &Table<'_>, defaults: &RuleKeys) {
    if let Some(auth) = defaults.auth.filter(|auth| auth.value == Auth::None) {
        file.note(
            auth.line,
            "`auth = \"none\"` in [defaults] would open routes that do not say so",
            "write it, with its reason, on each route that needs no token",
        );
    }
    if let Some(reason) = &defaults.reason {
        let remedy = "move it to the route with auth = \"none\"";
        file.note(
            reason.line,
            "`reason` in [defaults] explains nothing",
            remedy,
        );
    }
}

fn refuse_auth_without_reason(file: &Table<'_>, line: usize, rules: &RuleKeys) {
    let open = rules.auth.filter(|auth| auth.value == Auth::None);
    let roles = rules.roles.as_ref().filter(|roles| !roles.value.is_empty());
    match (open, &rules.reason) {
        (Some(auth), None) => file.note(
            auth.line,
            "`auth = \"none\"` without a reason",
            "add reason = \"…\" saying why anyone may call this route",
        ),
        (None, Some(reason)) => file.note(
            reason.line,
            "`reason` on a route that looks at tokens",
            "remove it, or set auth = \"none\"",
        ),
        _ => {}
    }
    if open.is_some() && roles.is_some() {
        let line = roles.map_or(line, |roles| roles.line);
        file.note(
            line,
            "`roles` on a route that looks at no token",
            "remove roles or auth",
        );
    }
}

fn refuse_limits_of_nobody(file: &Table<'_>, rules: &RuleKeys) {
    let open = rules.auth.is_some_and(|auth| auth.value == Auth::None);
    if let Some(line) = rules.own_limits.filter(|_| open) {
        file.note(
            line,
            "`limits` on a route that looks at no token",
            "remove limits or auth; what limits such a route is the network in front",
        );
    }
}

/// A cookie is sent by the browser whoever asks for it, so every write needs a
/// listed origin; without a list the route could only ever refuse.
fn refuse_cookie_without_origins(file: &Table<'_>, line: usize, route: &Route) {
    let writes = route.methods.iter().any(|method| !method.is_safe());
    let has_list = |cors: &Cors| cors.origins.iter().all(|origin| origin != "*");
    let listed = route.cors.as_ref().is_some_and(has_list);
    if matches!(route.token, TokenSource::Cookie(_)) && writes && !listed {
        file.note(
            line,
            "a cookie route that changes things has no listed origins",
            "add cors = { origins = [\"https://app.example.com\"], credentials = true }, \
             with this gateway's own origin if its pages call it",
        );
    }
}

fn refuse_clash(file: &Table<'_>, before: &[At<Route>], line: usize, route: &Route) {
    for earlier in before {
        let (other, at) = (&earlier.value, earlier.line);
        if other.id == route.id {
            let what = format!("id {:?} is taken by the route at line {at}", route.id);
            file.note(line, what, "give each route its own id");
        }
        let same = other.path == route.path && other.host == route.host;
        if let Some(method) = route
            .methods
            .iter()
            .find(|m| same && other.methods.contains(m))
        {
            let what = format!(
                "route {:?} takes {} requests of equal weight with route {:?} at line {at}",
                route.id,
                method.as_str(),
                other.id,
            );
            file.note(
                line,
                what,
                "give one of them a longer path, a host, or other methods",
            );
        }
    }
}

fn missing<T>(
    file: &Table<'_>,
    line: usize,
    value: Option<At<T>>,
    key: &str,
    example: &str,
) -> Option<At<T>> {
    if value.is_none() {
        file.note(
            line,
            format!("a route without a usable `{key}`"),
            format!("add {example}"),
        );
    }
    value
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("the ranges of the keys end far below 2^32")
}

/// The `iss` of assertions where the file says nothing; backends repeat it.
const DEFAULT_EDGE_ISS: &str = "tollgate-edge";
const DEFAULT_SOFT_SECS: u64 = 300;
const DEFAULT_HARD_SECS: u64 = 3600;
const DEFAULT_ISSUER_TIMEOUT_MS: u32 = 3000;
const DEFAULT_FEED_AGE_SECS: u64 = 30;
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
const DEFAULT_BODY_BYTES: u64 = 100 << 20;
/// Ten minutes: long enough to be worth it, short enough to change one's mind.
const DEFAULT_PREFLIGHT_SECS: u64 = 600;
