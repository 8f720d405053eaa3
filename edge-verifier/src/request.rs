//! The request as the decision sees it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::Method;
use crate::headers::Headers;
use crate::paths;
use crate::refusal::Refusal;

/// One request, without its body.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// `None` for methods no route can take.
    pub method: Option<Method>,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port, as the client named them.
    pub authority: &'a str,
    /// The path as it came; this is what is forwarded.
    pub raw_path: &'a str,
    /// The path after one decoding; this is what is matched.
    pub path: Cow<'a, str>,
    /// The query with its question mark, or nothing; never judged.
    pub query: &'a str,
    /// The headers.
    pub headers: Headers<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads the form the entry sends: method, line feed, absolute URL, line feed, headers.
    ///
    /// # Errors
    /// [`Refusal::InvalidPath`] and [`Refusal::HeadersTooLarge`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (method, rest) = text.split_once('\n').ok_or(Refusal::Internal)?;
        let (url, headers) = rest.split_once('\n').ok_or(Refusal::Internal)?;
        let headers = Headers::parse(headers).map_err(|_| Refusal::HeadersTooLarge)?;
        let (scheme, authority, target) = split_url(url).ok_or(Refusal::InvalidPath)?;
        let (raw_path, query) = target
            .find('?')
            .map_or((target, ""), |mark| target.split_at(mark));
        let path = paths::check(raw_path).map_err(|_| Refusal::InvalidPath)?;
        let method = Method::parse(method);
        Ok(Self {
            method,
            scheme,
            authority,
            raw_path,
            path,
            query,
            headers,
        })
    }

    /// The host in lower case, without the port.
    pub fn host(&self) -> Cow<'a, str> {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => self.authority,
        };
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        }
    }

    /// The client's address, as the network in front says.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.headers.get("cf-connecting-ip")?.parse().ok()
    }

    /// The size of the body, where the client says it beforehand.
    pub fn content_length(&self) -> Option<u64> {
        self.headers.get("content-length")?.parse().ok()
    }
}

/// Scheme, authority and the rest of an absolute URL without user name and fragment.
fn split_url(url: &str) -> Option<(&str, &str, &str)> {
    if url.len() > MAX_URL_BYTES || url.contains('#') {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let (authority, target) = rest.split_at(rest.find(['/', '?', '\\'])?);
    let plain =
        matches!(scheme, "http" | "https") && !authority.is_empty() && !authority.contains('@');
    plain.then_some((scheme, authority, target))
}

/// What common servers accept for a request line; more only helps to hide something.
const MAX_URL_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<Refusal> {
        Incoming::parse(text).err()
    }

    #[test]
    fn request_is_split_without_changing_a_byte_of_path_and_query() {
        let text = "POST\nhttps://API.example.com:8443/%61pi/x?a=%2f..&b=c?d\naccept\n*/*\n";
        let request = Incoming::parse(text).expect("a plain request");
        assert_eq!(request.method, Some(Method::Post));
        assert_eq!(request.scheme, "https");
        assert_eq!(request.authority, "API.example.com:8443");
        assert_eq!(request.host(), "api.example.com");
        assert_eq!(request.raw_path, "/%61pi/x");
        assert_eq!(request.path, "/api/x");
        assert_eq!(request.query, "?a=%2f..&b=c?d");
        assert_eq!(request.headers.get("accept"), Some("*/*"));
    }

    #[test]
    fn host_is_read_from_every_kind_of_authority() {
        for (authority, host) in [
            ("h", "h"),
            ("h:80", "h"),
            ("H:80", "h"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let text = format!("GET\nhttp://{authority}/\n");
            let request = Incoming::parse(&text).expect("a plain request");
            assert_eq!(request.host(), host, "{authority}");
        }
    }

    #[test]
    fn unclear_urls_are_refused() {
        for url in [
            "http://h/a//b",
            "http://h/a%2fb",
            "http://h/a;b",
            "http://h/a\\b",
            "http://h\\a",
            "http://h/a/../b",
            "http://h/a#b",
            "http://h/a?b#c",
            "http://u@h/a",
            "http://u:p@h/a",
            "http:///a",
            "http://h",
            "http://h?a",
            "ftp://h/a",
            "/a",
            "*",
            "",
        ] {
            assert_eq!(
                refused(&format!("GET\n{url}\n")),
                Some(Refusal::InvalidPath),
                "{url}"
            );
        }
        let long = format!("GET\nhttp://h/{}\n", "a".repeat(MAX_URL_BYTES));
        assert_eq!(refused(&long), Some(Refusal::InvalidPath));
    }

    #[test]
    fn only_a_real_address_counts_as_the_clients() {
        for (value, wanted) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("203.0.113.9, 10.0.0.1", None),
            ("unknown", None),
            ("", None),
        ] {
            let text = format!("GET\nhttp://h/\ncf-connecting-ip\n{value}\n");
            let request = Incoming::parse(&text).expect("a plain request");
            let ip = request.client_ip().map(|ip| ip.to_string());
            assert_eq!(ip.as_deref(), wanted, "{value}");
        }
    }

    #[test]
    fn input_of_another_shape_is_an_internal_error_and_no_panic() {
        for text in ["", "GET", "GET\nhttp://h/"] {
            assert_eq!(refused(text), Some(Refusal::Internal), "{text:?}");
        }
    }
}
