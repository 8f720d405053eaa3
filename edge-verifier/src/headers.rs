//! The request's headers: which of them never reach a backend, and what the gateway
//! says in their place.
//!
//! Names are compared in one spelling: lower case, and every character that is
//! neither letter nor digit as `-`, because backends map names to variables in ways
//! that make `X_Auth_User` and `x-auth-user` the same.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The headers of one request, as the runtime lists them: lower-case names, repeated
/// headers joined by `, `.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a> {
    entries: Vec<(&'a str, &'a str)>,
}

/// The request has more headers than [`MAX_HEADERS`] or [`MAX_HEADER_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyHeaders;

impl<'a> Headers<'a> {
    /// Reads the form the entry sends: name, line feed, value, line feed, and so on.
    /// Neither can contain a line feed (RFC 9110, section 5.5).
    ///
    /// # Errors
    /// When there are too many.
    pub fn parse(text: &'a str) -> Result<Self, TooManyHeaders> {
        if text.len() > MAX_HEADER_BYTES {
            return Err(TooManyHeaders);
        }
        let mut entries = Vec::with_capacity(TYPICAL_HEADERS);
        let mut lines = text.split('\n');
        while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
            if entries.len() == MAX_HEADERS {
                return Err(TooManyHeaders);
            }
            entries.push((name, value));
        }
        Ok(Self { entries })
    }

    /// The value of a header, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.entries
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    }

    /// Whether the client asks for a WebSocket (RFC 6455, section 4.1).
    pub fn asks_for_websocket(&self) -> bool {
        self.get("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    /// The names that are removed before anything is set, on every route.
    pub fn unwanted(&self) -> Vec<&'a str> {
        let websocket = self.asks_for_websocket();
        let connection = self.get("connection").unwrap_or("");
        let unwanted = |name: &str| {
            let kept_upgrade = websocket && name == "upgrade";
            !kept_upgrade && (is_never_forwarded(name) || is_listed(connection, name))
        };
        self.entries
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| unwanted(name))
            .collect()
    }
}

/// A claim as a header value: what is not visible ASCII is percent-encoded UTF-8, and
/// so is `%` itself, so that decoding gives back exactly what was signed.
pub fn encode_value(claim: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if claim.bytes().all(plain) {
        return Cow::Borrowed(claim);
    }
    let mut encoded = String::with_capacity(claim.len() + 16);
    for byte in claim.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

fn is_never_forwarded(name: &str) -> bool {
    STRIPPED_PREFIXES
        .iter()
        .any(|prefix| spelled_with(name, prefix))
        || STRIPPED.iter().any(|other| spelled_like(name, other))
}

/// Whether a `Connection` header lists the name (RFC 9110, section 7.6.1). The framing
/// of the message is not the client's to remove.
fn is_listed(connection: &str, name: &str) -> bool {
    let listed = || {
        connection
            .split(',')
            .any(|option| spelled_like(option.trim(), name))
    };
    !matches!(name, "content-length" | "host") && !connection.is_empty() && listed()
}

fn spelled_like(left: &str, right: &str) -> bool {
    left.len() == right.len() && spelled_with(left, right)
}

fn spelled_with(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name
            .bytes()
            .zip(prefix.bytes())
            .all(|(a, b)| fold(a) == fold(b))
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

/// Identity, the gateway's own statements, and claims about the original request.
const STRIPPED_PREFIXES: [&str; 5] = [
    "x-auth-",
    "x-edge-",
    "x-forwarded-",
    "x-original-",
    "x-rewrite-",
];
/// Hop-by-hop headers (RFC 9110, section 7.6.1), method overrides and other names for
/// the client's address or host that backends believe, and the id of the request, which is ours.
const STRIPPED: [&str; 21] = [
    "connection",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
];
/// The network in front stops at 128 KB; nobody honest sends half of that.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Each header is compared with every rule above.
pub const MAX_HEADERS: usize = 128;
/// What a browser sends, so that the list is allocated once.
const TYPICAL_HEADERS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn unwanted(text: &str) -> Vec<&str> {
        Headers::parse(text).expect("few headers").unwanted()
    }

    #[test]
    fn identity_headers_are_unwanted_in_every_spelling() {
        for name in [
            "x-auth-user",
            "X-Auth-User",
            "X-AUTH-USER",
            "x_auth_user",
            "x-auth_user",
            "X_AUTH-ROLE",
            "x.auth.user",
            "x-auth-",
            "x-auth-anything-new",
            "x-edge-assertion",
            "x_edge_assertion",
            "forwarded",
            "x-forwarded-for",
            "X_Forwarded_User",
            "x-forwarded",
            "x-original-url",
            "x_original_url",
            "x-rewrite-url",
            "x-http-method-override",
            "x_http_method_override",
            "x-method-override",
            "x-real-ip",
            "x-request-id",
            "X_Request_Id",
            "connection",
            "keep-alive",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ] {
            assert_eq!(unwanted(&format!("{name}\nroot\n")), [name], "{name}");
        }
    }

    #[test]
    fn ordinary_headers_are_kept() {
        for name in [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "cookie",
            "host",
            "user-agent",
            "x-auth",
            "x-authority",
            "x-edgy",
            "x-request-ids",
            "traceparent",
            "cf-connecting-ip",
            "sec-websocket-key",
            "teapot",
        ] {
            assert!(unwanted(&format!("{name}\nv\n")).is_empty(), "{name}");
        }
    }

    #[test]
    fn names_listed_in_connection_are_unwanted() {
        let text = "connection\nclose, X_Custom , x-auth-user\nx-custom\n1\nother\n2\n";
        assert_eq!(unwanted(text), ["connection", "x-custom"]);
    }

    #[test]
    fn connection_cannot_remove_the_framing() {
        let text = "connection\ncontent-length, host\ncontent-length\n5\nhost\nh\n";
        assert_eq!(unwanted(text), ["connection"]);
    }

    #[test]
    fn upgrade_is_kept_for_websockets_only() {
        assert_eq!(
            unwanted("upgrade\nWebSocket\nconnection\nUpgrade\n"),
            ["connection"]
        );
        assert_eq!(
            unwanted("upgrade\nh2c\nconnection\nUpgrade\n"),
            ["upgrade", "connection"]
        );
    }

    #[test]
    fn too_many_headers_are_refused() {
        let many = "a\nb\n".repeat(MAX_HEADERS + 1);
        assert_eq!(Headers::parse(&many).err(), Some(TooManyHeaders));
        assert!(Headers::parse(&"a\nb\n".repeat(MAX_HEADERS)).is_ok());
        let long = format!("a\n{}\n", "b".repeat(MAX_HEADER_BYTES));
        assert_eq!(Headers::parse(&long).err(), Some(TooManyHeaders));
    }

    #[test]
    fn claims_are_encoded_so_that_no_value_breaks_out_of_its_header() {
        for (claim, value) in [
            ("user_42", "user_42"),
            ("a@b.example", "a@b.example"),
            ("Zoë", "Zo%C3%AB"),
            ("a b", "a%20b"),
            ("a\r\nx-auth-role: admin", "a%0D%0Ax-auth-role:%20admin"),
            ("100%", "100%25"),
            ("a\0b\u{7f}", "a%00b%7F"),
            ("", ""),
        ] {
            assert_eq!(encode_value(claim), value, "{claim:?}");
        }
    }
}
