//! The keys of `edge.toml` as they were written, before defaults are filled in.

use core::ops::RangeInclusive;

use super::charge_keys::ChargeKeys;
use super::reader::{At, Table};
use super::values::{self, Wrong};
use super::{Auth, Method, OnStale, PathPattern, Rate, RevocationMode, TokenSource};

/// `[issuer]`.
pub(super) struct IssuerKeys {
    pub(super) url: Option<At<String>>,
    pub(super) iss: Option<At<String>>,
    pub(super) audience: Option<At<String>>,
    pub(super) soft_s: Option<At<u64>>,
    pub(super) hard_s: Option<At<u64>>,
    pub(super) timeout_ms: Option<At<u64>>,
}

/// `[edge]`.
#[derive(Default)]
pub(super) struct EdgeKeys {
    pub(super) iss: Option<At<String>>,
}

/// `[[route]]`: what only a route has, and the rules it shares with `[defaults]`.
pub(super) struct RouteKeys {
    pub(super) line: usize,
    pub(super) id: Option<At<String>>,
    pub(super) path: Option<At<PathPattern>>,
    pub(super) host: Option<At<String>>,
    pub(super) rules: RuleKeys,
}

/// The rules a route may inherit from `[defaults]`.
#[derive(Default)]
pub(super) struct RuleKeys {
    pub(super) methods: Option<At<Vec<Method>>>,
    pub(super) auth: Option<At<Auth>>,
    pub(super) reason: Option<At<String>>,
    pub(super) audience: Option<At<String>>,
    pub(super) roles: Option<At<Vec<String>>>,
    pub(super) token: Option<At<TokenSource>>,
    pub(super) revocation: RevocationKeys,
    pub(super) charge: ChargeKeys,
    pub(super) timeout_ms: Option<At<u64>>,
    pub(super) max_body_bytes: Option<At<u64>>,
    pub(super) cache: Option<At<bool>>,
    pub(super) limits: LimitKeys,
    /// The line of the route's own `limits`.
    pub(super) own_limits: Option<usize>,
    pub(super) server_timing: Option<At<bool>>,
    pub(super) cors: Option<At<CorsKeys>>,
    pub(super) backend: Option<At<BackendKeys>>,
}

/// `revocation = {…}`; inherited key by key.
#[derive(Default)]
pub(super) struct RevocationKeys {
    pub(super) mode: Option<At<RevocationMode>>,
    pub(super) max_age_s: Option<At<u64>>,
    pub(super) on_stale: Option<At<OnStale>>,
}

/// `limits = {…}`; inherited key by key.
#[derive(Clone, Copy, Default)]
pub(super) struct LimitKeys {
    pub(super) per_user: Option<At<Rate>>,
    pub(super) failed_auth: Option<At<Rate>>,
}

/// `cors = {…}`; inherited key by key.
#[derive(Clone)]
pub(super) struct CorsKeys {
    pub(super) origins: Option<At<Vec<String>>>,
    pub(super) credentials: Option<At<bool>>,
    pub(super) max_age_s: Option<At<u64>>,
}

/// `backend = {…}`; inherited only as a whole, because trust in one address says
/// nothing about another.
#[derive(Clone)]
pub(super) struct BackendKeys {
    pub(super) url: Option<At<String>>,
    pub(super) service: Option<At<String>>,
    pub(super) name: Option<At<String>>,
    pub(super) trust_network: bool,
    pub(super) assertion: Option<At<bool>>,
    pub(super) forward_token: bool,
    pub(super) strip_prefix: Option<At<String>>,
}

impl RuleKeys {
    /// A route's rules, with those of `[defaults]` where it has none of its own.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let cors = match (self.cors, &defaults.cors) {
            (Some(own), Some(default)) => Some(own.map(|keys| keys.or(&default.value))),
            (own, default) => own.or_else(|| default.clone()),
        };
        Self {
            methods: self.methods.or_else(|| defaults.methods.clone()),
            auth: self.auth.or(defaults.auth),
            reason: self.reason,
            audience: self.audience.or_else(|| defaults.audience.clone()),
            roles: self.roles.or_else(|| defaults.roles.clone()),
            token: self.token.or_else(|| defaults.token.clone()),
            revocation: self.revocation.or(&defaults.revocation),
            charge: self.charge.or(&defaults.charge),
            timeout_ms: self.timeout_ms.or(defaults.timeout_ms),
            max_body_bytes: self.max_body_bytes.or(defaults.max_body_bytes),
            cache: self.cache.or(defaults.cache),
            limits: LimitKeys {
                per_user: self.limits.per_user.or(defaults.limits.per_user),
                failed_auth: self.limits.failed_auth.or(defaults.limits.failed_auth),
            },
            own_limits: self.own_limits,
            server_timing: self.server_timing.or(defaults.server_timing),
            cors,
            backend: self.backend.or_else(|| defaults.backend.clone()),
        }
    }
}

impl RevocationKeys {
    fn or(self, defaults: &Self) -> Self {
        Self {
            mode: self.mode.or(defaults.mode),
            max_age_s: self.max_age_s.or(defaults.max_age_s),
            on_stale: self.on_stale.or(defaults.on_stale),
        }
    }
}

impl CorsKeys {
    fn or(self, defaults: &Self) -> Self {
        Self {
            origins: self.origins.or_else(|| defaults.origins.clone()),
            credentials: self.credentials.or(defaults.credentials),
            max_age_s: self.max_age_s.or(defaults.max_age_s),
        }
    }
}

/// Reads `[issuer]`.
pub(super) fn issuer(table: &Table<'_>) -> IssuerKeys {
    let url = table.text("url");
    let jwks = table.table("jwks", &["hard_s", "soft_s", "timeout_ms"]);
    let number = |key, range| jwks.as_ref().and_then(|jwks| jwks.number(key, &range));
    IssuerKeys {
        url: checked(table, url, |text| values::base_url(text, false)),
        iss: table.text("iss"),
        audience: table.text("audience"),
        soft_s: number("soft_s", JWKS_TTL_SECS),
        hard_s: number("hard_s", JWKS_TTL_SECS),
        timeout_ms: number("timeout_ms", ISSUER_TIMEOUT_MS),
    }
}

/// Reads `[edge]`.
pub(super) fn edge(table: &Table<'_>) -> EdgeKeys {
    EdgeKeys {
        iss: table.text("iss"),
    }
}

/// Reads one `[[route]]`.
pub(super) fn route(table: &Table<'_>) -> RouteKeys {
    RouteKeys {
        line: table.line,
        id: checked(table, table.text("id"), values::name),
        path: checked(table, table.text("path"), values::path_pattern),
        host: checked(table, table.text("host"), values::host),
        rules: rules(table),
    }
}

/// Reads the rules of a `[[route]]` or of `[defaults]`.
pub(super) fn rules(table: &Table<'_>) -> RuleKeys {
    RuleKeys {
        methods: list(table, "methods", values::method),
        auth: table.choice("auth", AUTH_WORDS),
        reason: table.text("reason"),
        audience: table.text("audience"),
        roles: list(table, "roles", values::name),
        token: token_source(table),
        revocation: revocation(table),
        charge: ChargeKeys::read(table),
        timeout_ms: table.number("timeout_ms", &ROUTE_TIMEOUT_MS),
        max_body_bytes: table.number("max_body_bytes", &BODY_BYTES),
        cache: table.flag("cache"),
        limits: limits(table),
        own_limits: table.line_of_key("limits"),
        server_timing: table.flag("server_timing"),
        cors: cors(table),
        backend: backend(table),
    }
}

fn revocation(table: &Table<'_>) -> RevocationKeys {
    let Some(table) = table.table("revocation", &["max_age_s", "mode", "on_stale"]) else {
        return RevocationKeys::default();
    };
    RevocationKeys {
        mode: table.choice("mode", REVOCATION_WORDS),
        max_age_s: table.number("max_age_s", &FEED_AGE_SECS),
        on_stale: table.choice("on_stale", ON_STALE_WORDS),
    }
}

fn limits(table: &Table<'_>) -> LimitKeys {
    let Some(table) = table.table("limits", &["failed_auth", "per_user"]) else {
        return LimitKeys::default();
    };
    let rate = |key| checked(&table, table.text(key), values::rate);
    LimitKeys {
        per_user: rate("per_user"),
        failed_auth: rate("failed_auth"),
    }
}

fn cors(table: &Table<'_>) -> Option<At<CorsKeys>> {
    let table = table.table("cors", &["credentials", "max_age_s", "origins"])?;
    let any = |text: &str| {
        if text == "*" {
            Ok("*".to_owned())
        } else {
            values::origin(text)
        }
    };
    let keys = CorsKeys {
        origins: list(&table, "origins", any),
        credentials: table.flag("credentials"),
        max_age_s: table.number("max_age_s", &PREFLIGHT_SECS),
    };
    Some(At::new(table.line, keys))
}

fn backend(table: &Table<'_>) -> Option<At<BackendKeys>> {
    let table = table.table("backend", BACKEND_KEYS)?;
    let trust_network = table.choice("trust", &[("network", ())]).is_some();
    let url = checked(&table, table.text("url"), |text| {
        values::base_url(text, trust_network)
    });
    let token = table.choice("token", &[("forward", true), ("strip", false)]);
    let keys = BackendKeys {
        url,
        service: checked(&table, table.text("service"), values::name),
        name: checked(&table, table.text("name"), values::name),
        trust_network,
        assertion: table.flag("assertion"),
        forward_token: token.is_some_and(|token| token.value),
        strip_prefix: checked(&table, table.text("strip_prefix"), values::strip_prefix),
    };
    Some(At::new(table.line, keys))
}

fn token_source(table: &Table<'_>) -> Option<At<TokenSource>> {
    let text = table.text("token")?;
    checked(table, Some(text), |text| {
        match text.strip_prefix("cookie:") {
            Some(name) => values::cookie_name(name).map(TokenSource::Cookie),
            None if text == "bearer" => Ok(TokenSource::Bearer),
            None if text == "websocket" => Ok(TokenSource::Websocket),
            None => Err((
                format!("`token` cannot be {text:?}"),
                "use bearer, cookie:__Host-NAME or websocket".to_owned(),
            )),
        }
    })
}

/// A list whose items are checked one by one; repeated items are noted.
fn list<T: PartialEq>(
    table: &Table<'_>,
    key: &str,
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<At<Vec<T>>> {
    let texts = table.texts(key)?;
    let mut items = Vec::with_capacity(texts.value.len());
    for text in texts.value {
        match check(&text.value) {
            Ok(item) if items.contains(&item) => {
                let what = format!("{:?} stands twice in `{key}` of {}", text.value, table.name);
                table.note(text.line, what, "remove one");
            }
            Ok(item) => items.push(item),
            Err((what, remedy)) => table.note(text.line, what, remedy),
        }
    }
    Some(At::new(texts.line, items))
}

pub(super) fn checked<T>(
    table: &Table<'_>,
    text: Option<At<String>>,
    check: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<At<T>> {
    let text = text?;
    match check(&text.value) {
        Ok(value) => Some(At::new(text.line, value)),
        Err((what, remedy)) => {
            table.note(text.line, format!("{what} (in {})", table.name), remedy);
            None
        }
    }
}

pub(super) const EDGE_KEYS: &[&str] = &["iss"];
pub(super) const ISSUER_KEYS: &[&str] = &["audience", "iss", "jwks", "url"];
pub(super) const ROUTE_KEYS: &[&str] = &[
    "id",
    "path",
    "host",
    "app_id",
    "audience",
    "auth",
    "backend",
    "cache",
    "charge",
    "charge_4xx",
    "cors",
    "cost",
    "limits",
    "max_body_bytes",
    "methods",
    "reason",
    "revocation",
    "roles",
    "server_timing",
    "timeout_ms",
    "token",
];
const BACKEND_KEYS: &[&str] = &[
    "assertion",
    "name",
    "service",
    "strip_prefix",
    "token",
    "trust",
    "url",
];

const AUTH_WORDS: &[(&str, Auth)] = &[
    ("required", Auth::Required),
    ("optional", Auth::Optional),
    ("none", Auth::None),
];
const REVOCATION_WORDS: &[(&str, RevocationMode)] = &[
    ("bounded", RevocationMode::Bounded),
    ("strict", RevocationMode::Strict),
];
const ON_STALE_WORDS: &[(&str, OnStale)] = &[("open", OnStale::Open), ("closed", OnStale::Closed)];

/// A day: a key removed by its issuer must not live on for longer anywhere.
const JWKS_TTL_SECS: RangeInclusive<u64> = 1..=86_400;
/// Ten seconds: people wait behind this fetch when the isolate is cold.
const ISSUER_TIMEOUT_MS: RangeInclusive<u64> = 100..=10_000;
/// A feed document is valid for 60 seconds, so that no route can ask for less.
const FEED_AGE_SECS: RangeInclusive<u64> = 1..=60;
/// Ten minutes to the first byte of an answer is as long as any proxy waits.
const ROUTE_TIMEOUT_MS: RangeInclusive<u64> = 100..=600_000;
/// 5 GiB, the largest request body the network in front accepts on any plan.
const BODY_BYTES: RangeInclusive<u64> = 0..=5 << 30;
/// A day, which is also where browsers stop.
const PREFLIGHT_SECS: RangeInclusive<u64> = 0..=86_400;
