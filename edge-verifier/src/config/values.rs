//! Rules for single values of `edge.toml`: URLs, origins, paths, names.
//!
//! Each function answers what is wrong and what to write instead, or the value in
//! the form the Worker uses.

use crate::paths;
use crate::urls::{self, UrlFault, plain_host};

use super::{Method, PathPattern, Rate};

/// What is wrong with a value, and the remedy.
pub(super) type Wrong = (String, String);

/// Base URL of issuer or backend: scheme, host, optional path, nothing else.
pub(super) fn base_url(text: &str, http_is_fine: bool) -> Result<String, Wrong> {
    urls::base_url(text, http_is_fine).map_err(|fault| {
        let remedy = match fault {
            UrlFault::NotHttp => "begin with https://",
            UrlFault::NotPlainHost => "write a lower-case host and at most a port after it",
            UrlFault::PlainHttp => "use https; plain http is for loopback addresses",
            UrlFault::NotPlainPath => "keep at most a plain path such as /v1",
        };
        (format!("{text:?} {fault}"), remedy.to_owned())
    })
}

/// An origin exactly as browsers send it in the `Origin` header.
pub(super) fn origin(text: &str) -> Result<String, Wrong> {
    let fault = |what: &str| {
        wrong(
            format!("{text:?} {what}"),
            "write scheme, host and port only, as in https://app.example.com",
        )
    };
    if text == "null" {
        return wrong(
            "\"null\" is sent by any sandboxed page",
            "list real origins",
        );
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return fault("is no origin");
    };
    if !matches!(scheme, "http" | "https") || plain_host(authority).is_none() {
        return fault("is no origin a browser would send");
    }
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    if authority.ends_with(default_port) {
        return fault("names the default port, which browsers leave out");
    }
    Ok(text.to_owned())
}

/// A route's path: exact, or a prefix that ends in `/*`.
pub(super) fn path_pattern(text: &str) -> Result<PathPattern, Wrong> {
    let (literal, prefix) = text
        .strip_suffix('*')
        .map_or((text, false), |start| (start, true));
    if !literal.starts_with('/') {
        return wrong(
            format!("path {text:?} does not begin with a slash"),
            "begin with /",
        );
    }
    if literal.contains('*') || (prefix && !literal.ends_with('/')) {
        return wrong(
            format!("path {text:?} has a * elsewhere than after its last slash"),
            "end a prefix with /*, or write the path in full",
        );
    }
    if !paths::is_plain_literal(literal) {
        return wrong(
            format!("path {text:?} could never match: such requests are refused"),
            "leave out %, ?, #, ;, \\, //, dot segments and control characters; \
             write other characters as they are, not encoded",
        );
    }
    if literal.starts_with(RESERVED_PATH) {
        return wrong(
            format!("path {text:?} belongs to the gateway itself"),
            format!("use a path outside {RESERVED_PATH}"),
        );
    }
    Ok(PathPattern {
        literal: literal.to_owned(),
        prefix,
    })
}

/// Leading segments that are removed before forwarding, such as `/api`.
pub(super) fn strip_prefix(text: &str) -> Result<String, Wrong> {
    if text.len() > 1 && !text.ends_with('/') && paths::is_plain_literal(text) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("strip_prefix {text:?} is no plain path"),
        "write whole segments with a leading and without a trailing slash, as in /api",
    )
}

/// A host a route answers for.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    if plain_host(text) == Some(text) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("host {text:?} is no lower-case host name"),
        "write one host without scheme, port or wildcard, or leave it out for any host",
    )
}

/// A method a route can take.
pub(super) fn method(text: &str) -> Result<Method, Wrong> {
    Method::parse(text).map_or_else(
        || {
            wrong(
                format!("method {text:?} cannot be routed"),
                "use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, in capitals",
            )
        },
        Ok,
    )
}

/// Name of a cookie that only this host can set, for it and over https.
pub(super) fn cookie_name(text: &str) -> Result<String, Wrong> {
    let name = text.strip_prefix("__Host-").unwrap_or("");
    if !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    {
        return Ok(text.to_owned());
    }
    wrong(
        format!("cookie {text:?} could be set by another site"),
        "name it __Host- and letters, digits, - or _, so that browsers bind it to this host",
    )
}

/// A rate such as `100/min`; the number and the unit are both needed.
pub(super) fn rate(text: &str) -> Result<Rate, Wrong> {
    let parsed = text.split_once('/').and_then(|(count, unit)| {
        let period_secs = match unit {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            _ => return None,
        };
        let plain = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && *count > 0)?;
        Some(Rate { count, period_secs })
    });
    parsed.map_or_else(
        || {
            wrong(
                format!("{text:?} is no rate"),
                "write a number, a slash and s, min or h, as in \"100/min\"",
            )
        },
        Ok,
    )
}

/// A name for logs, bindings and roles.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{text:?} is no plain name"),
        format!("use 1 to {MAX_NAME} letters, digits, -, _, . or :"),
    )
}

pub(super) fn wrong<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Wrong> {
    Err((what.into(), remedy.into()))
}

/// Everything below is answered by the gateway itself and never forwarded.
pub(super) const RESERVED_PATH: &str = crate::routes::RESERVED_PREFIX;
/// Longer names make log lines and tables unreadable.
const MAX_NAME: usize = 64;
