//! What the gateway does with each request, as data.
//!
//! People write `edge.toml`; the configuration tool (`tool` feature) checks it and
//! writes these types for the Worker, which bundles them and reads them once per isolate.
//! Everything here is resolved: defaults are filled in, lists are checked, routes do
//! not overlap. The Worker therefore never has to reject a configuration.

use serde::{Deserialize, Serialize};

use crate::hex;

mod charge;
#[cfg(feature = "tool")]
mod charge_keys;
#[cfg(feature = "tool")]
pub mod check;
#[cfg(feature = "tool")]
pub mod effective;
#[cfg(feature = "tool")]
pub mod explain;
#[cfg(feature = "tool")]
mod keys;
#[cfg(feature = "tool")]
mod problem;
#[cfg(feature = "tool")]
mod reader;
#[cfg(feature = "tool")]
mod resolve;
#[cfg(feature = "tool")]
mod values;

pub use charge::{Charge, ChargeWhen};
#[cfg(feature = "tool")]
pub use problem::Problem;

/// The whole configuration of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Who signs the tokens.
    pub issuer: Issuer,
    /// Who the gateway says it is.
    pub edge: Edge,
    /// CORS rules for refusals that no route answers for (unknown paths).
    pub default_cors: Option<Cors>,
    /// The routes, the one with the greatest weight first.
    pub routes: Vec<Route>,
}

/// The issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Base URL without a trailing slash; key sets and feed are fetched below it.
    pub url: String,
    /// The `iss` of its tokens where that differs from `url`.
    pub iss: Option<String>,
    /// The audience of routes that name none.
    pub audience: String,
    /// How long its key set may be used.
    pub jwks: JwksRule,
}

/// What the gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// The `iss` of its assertions.
    pub iss: String,
}

/// Life times of the issuer's key set in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwksRule {
    /// Older keys are still used, and refreshed in the background.
    pub soft_secs: u64,
    /// Older keys are not used any more.
    pub hard_secs: u64,
    /// How long one fetch from the issuer may take.
    pub timeout_ms: u32,
}

/// One route: which requests it takes, what it demands, where it sends them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Name in logs and in the effective table.
    pub id: String,
    /// Which paths it takes.
    pub path: PathPattern,
    /// The only host it answers for; none means any.
    pub host: Option<String>,
    /// The methods it takes; another method on its path is 405.
    pub methods: Vec<Method>,
    /// Whether a token is needed.
    pub auth: Auth,
    /// Why no token is needed; present exactly when `auth` is [`Auth::None`].
    pub reason: Option<String>,
    /// The audience a token must name.
    pub audience: String,
    /// The roles that may pass; empty means any.
    pub roles: Vec<String>,
    /// Where a token may be besides the `Authorization` header.
    pub token: TokenSource,
    /// How fresh the revocation feed must be.
    pub revocation: RevocationRule,
    /// What each request costs; none means nothing.
    pub charge: Option<Charge>,
    /// How long the backend may take until its response headers arrive.
    pub timeout_ms: u32,
    /// The largest request body.
    pub max_body_bytes: u64,
    /// Whether answers to authenticated requests may be cached as the backend says.
    pub cache: bool,
    /// How much one client may ask for.
    pub limits: Limits,
    /// Whether answers say how long the backend took.
    pub server_timing: bool,
    /// CORS rules; none means the gateway adds no CORS header.
    pub cors: Option<Cors>,
    /// Where requests go.
    pub backend: Backend,
}

/// Which paths a route takes. Compared with the path after one percent-decoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathPattern {
    /// The path itself, or its beginning up to and including the last slash.
    pub literal: String,
    /// Whether every path that begins with `literal` is taken.
    pub prefix: bool,
}

/// The methods a route can take. `TRACE` and `CONNECT` are refused on every route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    Get,
    /// Read without the body.
    Head,
    /// Create or act.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
    /// Ask what is possible.
    Options,
}

/// Whether a route needs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// No token, no entry.
    Required,
    /// Without a token the request passes without identity; a bad token is refused.
    Optional,
    /// Tokens are not looked at.
    None,
}

/// Where a token may be, besides `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenSource {
    /// Nowhere else.
    Bearer,
    /// In the cookie of this name, which begins with `__Host-`.
    Cookie(String),
    /// Among the WebSocket subprotocols, as `bearer.<token>`.
    Websocket,
}

/// How much one client may ask for on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests of one user; of one address, where there is no user.
    pub per_user: Option<Rate>,
    /// Tokens that were refused, of one address.
    pub failed_auth: Option<Rate>,
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// In how many seconds.
    pub period_secs: u32,
}

/// How fresh the revocation feed must be for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationRule {
    /// Whether the issuer is asked before the request is let through.
    pub mode: RevocationMode,
    /// A feed older than this is stale.
    pub max_age_secs: u64,
    /// What happens when the feed is stale and could not be renewed.
    pub on_stale: OnStale,
}

/// Whether the issuer is asked before the request is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationMode {
    /// The feed held is good until `max_age_secs`.
    Bounded,
    /// A feed older than a second is renewed first.
    Strict,
}

/// What happens when the feed is stale and could not be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStale {
    /// The request passes on the feed held.
    Open,
    /// The request is answered 503.
    Closed,
}

/// CORS rules of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins as browsers send them, or the single entry `*`.
    pub origins: Vec<String>,
    /// Whether cookies and `Authorization` may be sent along.
    pub credentials: bool,
    /// How long a browser may remember a preflight.
    pub max_age_secs: u64,
}

/// Where the requests of a route go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// Name that the gateway's assertions are addressed to; always there when it signs them.
    pub name: Option<String>,
    /// Whether the gateway signs what it says about each request.
    pub assertion: bool,
    /// The way to it.
    pub target: Target,
    /// Whether the access token is passed on.
    pub forward_token: bool,
    /// How many leading path segments are removed before forwarding.
    pub strip_segments: u32,
}

/// The way to a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// Base URL without a trailing slash.
    Url(String),
    /// Name of a service binding of the Worker.
    Service(String),
}

impl Config {
    /// Reads what the tool wrote for the Worker.
    ///
    /// # Errors
    /// When it is not of [`FORMAT`]: another version has written it, or a hand.
    pub fn from_bundle(bundle: &str) -> Result<Self, ConfigError> {
        let bytes = hex::decode(bundle).ok_or(ConfigError)?;
        let (format, rest) = postcard::take_from_bytes::<u64>(&bytes).map_err(|_| ConfigError)?;
        if format != FORMAT {
            return Err(ConfigError);
        }
        match postcard::take_from_bytes(rest) {
            Ok((config, [])) => Ok(config),
            _ => Err(ConfigError),
        }
    }

    /// For the Worker: what it reads with less code than JSON would take, all of which an isolate
    /// compiles before its first answer.
    #[cfg(feature = "tool")]
    pub fn to_bundle(&self) -> String {
        hex::encode(&postcard::to_allocvec(&(FORMAT, self)).expect("it has no maps"))
    }

    /// For people and programs that want to look into it.
    #[cfg(feature = "tool")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and lists always serialise")
    }
}

/// Of the text of these types (FNV-1a): a Worker never guesses at what others have written.
const fn hash(text: &str, mut hash: u64) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

impl Method {
    /// The method of a request line; `None` for methods no route can take.
    pub fn parse(text: &str) -> Option<Self> {
        ALL_METHODS
            .into_iter()
            .find(|method| method.as_str() == text)
    }

    /// As on the request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether it changes nothing (RFC 9110, section 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// The configuration was not written by this version of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError;

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the bundled configuration was not written by this version of the tool")
    }
}

impl core::error::Error for ConfigError {}

/// Another one whenever these types change.
const FORMAT: u64 = hash(
    include_str!("charge.rs"),
    hash(include_str!("mod.rs"), 0xcbf2_9ce4_8422_2325),
);

/// Every method a route can take, in the order they are printed.
pub const ALL_METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
];
