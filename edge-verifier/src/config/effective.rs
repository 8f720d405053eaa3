//! The effective table: what each route really does, defaults filled in.

use core::fmt::Write as _;

use super::{Auth, ChargeWhen, Config, OnStale, RevocationMode, Route, Target, TokenSource};

/// Renders the configuration as a table whose columns line up, greatest weight first.
pub fn render(config: &Config) -> String {
    let issuer = &config.issuer;
    let mut text = format!(
        "issuer    {}\niss       {}\naudience  {}\nkeys      renewed after {} s, used for {} s at most\n\n",
        issuer.url,
        issuer.iss.as_ref().unwrap_or(&issuer.url),
        issuer.audience,
        issuer.jwks.soft_secs,
        issuer.jwks.hard_secs,
    );
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(config.routes.iter().map(row));
    write_aligned(&mut text, &rows);
    for route in &config.routes {
        if let Some(reason) = &route.reason {
            let _ = write!(text, "\n{} needs no token: {reason}", route.id);
        }
    }
    text.trim_end().to_owned() + "\n"
}

fn row(route: &Route) -> [String; N_COLUMNS] {
    let methods: Vec<&str> = route.methods.iter().map(|method| method.as_str()).collect();
    [
        route.id.clone(),
        route.host.clone().unwrap_or_else(|| "any".into()),
        format!(
            "{}{}",
            route.path.literal,
            if route.path.prefix { "*" } else { "" }
        ),
        methods.join(","),
        auth(route),
        revocation(route),
        cors(route),
        limits(route),
        cost(route),
        backend(route),
    ]
}

pub(super) fn auth(route: &Route) -> String {
    let source = match &route.token {
        TokenSource::Bearer => String::new(),
        TokenSource::Cookie(name) => format!(", cookie {name}"),
        TokenSource::Websocket => ", or subprotocol".into(),
    };
    let roles = match route.roles.as_slice() {
        [] => String::new(),
        roles => format!(", roles {}", roles.join("|")),
    };
    match route.auth {
        Auth::None => "none".into(),
        Auth::Optional => format!("optional for {}{roles}{source}", route.audience),
        Auth::Required => format!("{}{roles}{source}", route.audience),
    }
}

pub(super) fn revocation(route: &Route) -> String {
    let rule = route.revocation;
    let on_stale = match rule.on_stale {
        OnStale::Open => "open",
        OnStale::Closed => "closed",
    };
    match (route.auth, rule.mode) {
        (Auth::None, _) => "-".into(),
        (_, RevocationMode::Bounded) => format!("{} s, then {on_stale}", rule.max_age_secs),
        (_, RevocationMode::Strict) => format!("strict, {} s, then {on_stale}", rule.max_age_secs),
    }
}

pub(super) fn cors(route: &Route) -> String {
    let Some(cors) = &route.cors else {
        return "-".into();
    };
    let credentials = if cors.credentials {
        " with credentials"
    } else {
        ""
    };
    format!("{}{credentials}", cors.origins.join("|"))
}

pub(super) fn cost(route: &Route) -> String {
    let Some(charge) = &route.charge else {
        return "-".into();
    };
    let when = match (charge.when, charge.on_4xx) {
        (ChargeWhen::Before, _) => "before forwarding",
        (ChargeWhen::OnSuccess, false) => "on success",
        (ChargeWhen::OnSuccess, true) => "on success and 4xx",
    };
    format!("{} in {}, {when}", charge.cost, charge.app_id)
}

pub(super) fn limits(route: &Route) -> String {
    let cache = if route.cache { ", cacheable" } else { "" };
    let mut text = format!("{} ms, {} B{cache}", route.timeout_ms, route.max_body_bytes);
    for (name, rate) in [
        ("per user", route.limits.per_user),
        ("failed", route.limits.failed_auth),
    ] {
        if let Some(rate) = rate {
            let _ = write!(text, ", {} in {} s {name}", rate.count, rate.period_secs);
        }
    }
    text
}

fn backend(route: &Route) -> String {
    let backend = &route.backend;
    let mut text = match &backend.target {
        Target::Url(url) => url.clone(),
        Target::Service(name) => format!("service {name}"),
    };
    if backend.strip_segments > 0 {
        let _ = write!(text, ", minus {} segments", backend.strip_segments);
    }
    if let Some(name) = backend.name.as_ref().filter(|_| backend.assertion) {
        let _ = write!(text, ", asserted to {name}");
    }
    if backend.forward_token {
        text.push_str(", gets the token");
    }
    text
}

fn write_aligned(text: &mut String, rows: &[[String; N_COLUMNS]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N_COLUMNS)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}

const N_COLUMNS: usize = 10;
const HEADINGS: [&str; N_COLUMNS] = [
    "ROUTE",
    "HOST",
    "PATH",
    "METHODS",
    "TOKEN FOR",
    "REVOCATION",
    "CORS",
    "LIMITS",
    "COST",
    "BACKEND",
];
