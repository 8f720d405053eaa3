//! URLs the gateway is configured with: issuer and backends.

use core::fmt;

use crate::paths;

/// Why a base URL is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFault {
    /// It begins with neither `https://` nor `http://`.
    NotHttp,
    /// Host or port are missing or not plain, or there is a user name.
    NotPlainHost,
    /// It is http to another machine.
    PlainHttp,
    /// It has a query, a fragment or a path that would not be forwarded.
    NotPlainPath,
}

/// Checks a base URL and takes off its trailing slash.
///
/// # Errors
/// The first [`UrlFault`] that applies.
pub fn base_url(text: &str, http_is_fine: bool) -> Result<String, UrlFault> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlFault::NotHttp)?;
    if !matches!(scheme, "http" | "https") {
        return Err(UrlFault::NotHttp);
    }
    let (authority, path) = rest
        .find('/')
        .map_or((rest, ""), |slash| rest.split_at(slash));
    let host = plain_host(authority).ok_or(UrlFault::NotPlainHost)?;
    if scheme == "http" && !http_is_fine && !is_loopback(host) {
        return Err(UrlFault::PlainHttp);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.ends_with('/') || (!path.is_empty() && paths::check(path).is_err()) {
        return Err(UrlFault::NotPlainPath);
    }
    Ok(format!("{scheme}://{authority}{path}"))
}

/// The host of `host[:port]`, when both are written as browsers write them.
pub fn plain_host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_plain = is_plain_name(host) || is_plain_v6(host);
    (is_plain && port.is_none_or(is_plain_port)).then_some(host)
}

fn is_plain_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    host.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(plain))
}

fn is_plain_v6(host: &str) -> bool {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b':' | b'.');
    inside.is_some_and(|inside| inside.contains(':') && inside.bytes().all(plain))
}

fn is_plain_port(port: &str) -> bool {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    digits && port.parse::<u16>().is_ok()
}

/// Whether nothing sent to this host leaves the machine.
fn is_loopback(host: &str) -> bool {
    let mut labels = host.split('.');
    let is_v4 =
        host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok());
    host == "localhost" || host == "[::1]" || (is_v4 && labels.next() == Some("127"))
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "is no http or https URL",
            Self::NotPlainHost => "has no plain lower-case host and port",
            Self::PlainHttp => "is plain http to another machine",
            Self::NotPlainPath => "has a query, a fragment or a path that cannot be forwarded",
        })
    }
}

impl core::error::Error for UrlFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_pass_without_their_trailing_slash() {
        for (text, wanted) in [
            ("https://id.example.com", "https://id.example.com"),
            ("https://id.example.com/", "https://id.example.com"),
            (
                "https://id.example.com:8443/v1/",
                "https://id.example.com:8443/v1",
            ),
            ("http://127.0.0.1:3001", "http://127.0.0.1:3001"),
            ("http://localhost:3001/", "http://localhost:3001"),
            ("http://[::1]:3001", "http://[::1]:3001"),
        ] {
            assert_eq!(base_url(text, false).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_their_fault() {
        for (text, fault) in [
            ("", UrlFault::NotHttp),
            ("id.example.com", UrlFault::NotHttp),
            ("ftp://id.example.com", UrlFault::NotHttp),
            ("HTTPS://id.example.com", UrlFault::NotHttp),
            ("https://", UrlFault::NotPlainHost),
            ("https://user@id.example.com", UrlFault::NotPlainHost),
            ("https://user:pw@id.example.com", UrlFault::NotPlainHost),
            ("https://ID.example.com", UrlFault::NotPlainHost),
            ("https://id.example.com:0", UrlFault::NotPlainHost),
            ("https://id.example.com:+443", UrlFault::NotPlainHost),
            ("https://id.example.com:99999", UrlFault::NotPlainHost),
            ("https://id..example.com", UrlFault::NotPlainHost),
            ("https://id.example.com?x=1", UrlFault::NotPlainHost),
            ("http://id.example.com", UrlFault::PlainHttp),
            ("http://127.example.com", UrlFault::PlainHttp),
            ("http://localhost.example.com", UrlFault::PlainHttp),
            ("http://127.0.0.1.example.com", UrlFault::PlainHttp),
            ("https://id.example.com/a?x=1", UrlFault::NotPlainPath),
            ("https://id.example.com/a#x", UrlFault::NotPlainPath),
            ("https://id.example.com/a/../b", UrlFault::NotPlainPath),
            ("https://id.example.com/a//", UrlFault::NotPlainPath),
        ] {
            assert_eq!(base_url(text, false), Err(fault), "{text}");
        }
    }

    #[test]
    fn http_to_another_machine_passes_where_the_caller_says_so() {
        let url = base_url("http://backend.internal:8080", true);
        assert_eq!(url.as_deref(), Ok("http://backend.internal:8080"));
    }
}
