//! Finds the one access token of a request.

use crate::config::TokenSource;
use crate::headers::Headers;

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No token.
    Nothing,
    /// One token.
    Token {
        /// Its text, unverified.
        text: &'a str,
        /// Whether the browser added it by itself, so that the origin matters.
        from_cookie: bool,
    },
    /// More than one, which honest clients never send.
    Several,
}

/// Looks into `Authorization` and, where the route has one, the cookie or the subprotocols of a
/// WebSocket. Never into the
/// query, which ends up in logs and histories (RFC 9700, section 4.3.2).
pub fn find<'a>(headers: &Headers<'a>, source: &TokenSource) -> Presented<'a> {
    let bearer = headers
        .get("authorization")
        .map_or(Presented::Nothing, bearer);
    let other = match source {
        TokenSource::Bearer => Presented::Nothing,
        TokenSource::Cookie(name) => headers
            .get("cookie")
            .map_or(Presented::Nothing, |cookies| cookie(cookies, name)),
        TokenSource::Websocket => headers
            .get(SUBPROTOCOLS)
            .map_or(Presented::Nothing, subprotocol),
    };
    match (bearer, other) {
        (one, Presented::Nothing) | (Presented::Nothing, one) => one,
        _ => Presented::Several,
    }
}

/// The `Cookie` header without one cookie; `None` when nothing is left.
pub fn without_cookie(cookies: &str, name: &str) -> Option<String> {
    let others = cookies
        .split(';')
        .map(str::trim)
        .filter(|pair| cookie_value(pair, name).is_none());
    let rest = others
        .filter(|pair| !pair.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    (!rest.is_empty()).then_some(rest)
}

/// Reads `Authorization` (RFC 6750, section 2.1). Other schemes present no token. A comma
/// comes from joined headers; no token has one.
fn bearer(value: &str) -> Presented<'_> {
    let mut tokens = value.split(',').filter_map(after_scheme);
    match (tokens.next(), tokens.next()) {
        (None, _) => Presented::Nothing,
        (Some(text), None) if !value.contains(',') => Presented::Token {
            text,
            from_cookie: false,
        },
        _ => Presented::Several,
    }
}

/// What follows the scheme `Bearer`, if that is the scheme.
fn after_scheme(credentials: &str) -> Option<&str> {
    let credentials = credentials.trim();
    let (scheme, rest) = credentials.split_once(' ').unwrap_or((credentials, ""));
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| rest.trim_start())
}

/// Reads `Cookie` (RFC 6265, section 4.2.1). The name anywhere else than at the start
/// of a pair comes from joined headers and could be read differently by a backend.
fn cookie<'a>(cookies: &'a str, name: &str) -> Presented<'a> {
    let mut values = cookies
        .split(';')
        .filter_map(|pair| cookie_value(pair.trim(), name));
    let first = values.next();
    let hidden = without_cookie(cookies, name).is_some_and(|rest| {
        rest.match_indices(name)
            .any(|(at, _)| rest[at + name.len()..].starts_with('='))
    });
    match first {
        _ if hidden || values.next().is_some() => Presented::Several,
        Some(text) => Presented::Token {
            text,
            from_cookie: true,
        },
        None => Presented::Nothing,
    }
}

/// The subprotocols without tokens; `None` when nothing is left.
pub fn without_tokens(protocols: &str) -> Option<String> {
    let others = protocols
        .split(',')
        .map(str::trim)
        .filter(|protocol| !protocol.is_empty() && token_in(protocol).is_none());
    let rest = others.collect::<Vec<_>>().join(", ");
    (!rest.is_empty()).then_some(rest)
}

/// Reads `Sec-WebSocket-Protocol` (RFC 6455, section 11.3.4): the one header of an upgrade that a
/// page can write to. Its items are tokens of HTTP, which base64url and dots are, too.
fn subprotocol(protocols: &str) -> Presented<'_> {
    let mut tokens = protocols
        .split(',')
        .filter_map(|protocol| token_in(protocol.trim()));
    match (tokens.next(), tokens.next()) {
        (None, _) => Presented::Nothing,
        (Some(text), None) => Presented::Token {
            text,
            from_cookie: false,
        },
        _ => Presented::Several,
    }
}

fn token_in(protocol: &str) -> Option<&str> {
    let (prefix, token) = protocol.split_at_checked(SUBPROTOCOL.len())?;
    prefix.eq_ignore_ascii_case(SUBPROTOCOL).then_some(token)
}

fn cookie_value<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = pair.split_once('=')?;
    (key.trim_end() == name).then(|| value.trim_start())
}

/// The header, by its lower-case name.
pub const SUBPROTOCOLS: &str = "sec-websocket-protocol";
/// What stands before the token.
const SUBPROTOCOL: &str = "bearer.";

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "__Host-token";

    fn found<'a>(text: &'a str, source: &TokenSource) -> Presented<'a> {
        find(&Headers::parse(text).expect("few headers"), source)
    }

    fn from_header(text: &str) -> Presented<'_> {
        Presented::Token {
            text,
            from_cookie: false,
        }
    }

    fn from_cookie(text: &str) -> Presented<'_> {
        Presented::Token {
            text,
            from_cookie: true,
        }
    }

    #[test]
    fn authorization_presents_one_token_several_or_none() {
        for (value, wanted) in [
            ("Bearer abc", from_header("abc")),
            ("bearer abc", from_header("abc")),
            ("BEARER   abc ", from_header("abc")),
            ("Bearer ", from_header("")),
            ("Bearer", from_header("")),
            ("Bearer abc def", from_header("abc def")),
            ("Basic dTpw", Presented::Nothing),
            ("Bearerabc", Presented::Nothing),
            ("abc", Presented::Nothing),
            ("", Presented::Nothing),
            ("Bearer abc, Bearer def", Presented::Several),
            ("Bearer abc,Bearer abc", Presented::Several),
            ("Basic dTpw, Bearer abc", Presented::Several),
            ("Bearer abc, Basic dTpw", Presented::Several),
        ] {
            let text = format!("authorization\n{value}\n");
            assert_eq!(found(&text, &TokenSource::Bearer), wanted, "{value}");
        }
    }

    #[test]
    fn cookie_presents_one_token_several_or_none() {
        for (value, wanted) in [
            ("__Host-token=abc", from_cookie("abc")),
            ("a=1; __Host-token=abc; b=2", from_cookie("abc")),
            ("a=1;__Host-token=abc", from_cookie("abc")),
            ("__Host-tokens=abc", Presented::Nothing),
            ("__host-token=abc", Presented::Nothing),
            ("a=1", Presented::Nothing),
            ("__Host-token=abc; __Host-token=def", Presented::Several),
            ("a=1, __Host-token=abc", Presented::Several),
            (
                "__Host-token=abc; a=1, __Host-token=def",
                Presented::Several,
            ),
        ] {
            let text = format!("cookie\n{value}\n");
            assert_eq!(
                found(&text, &TokenSource::Cookie(NAME.into())),
                wanted,
                "{value}"
            );
        }
    }

    #[test]
    fn header_and_cookie_together_are_several() {
        let text = "authorization\nBearer abc\ncookie\n__Host-token=abc\n";
        assert_eq!(
            found(text, &TokenSource::Cookie(NAME.into())),
            Presented::Several
        );
    }

    #[test]
    fn subprotocols_present_one_token_several_or_none() {
        for (value, wanted) in [
            ("bearer.a.b.c", from_header("a.b.c")),
            ("chat, bearer.a.b.c", from_header("a.b.c")),
            ("bearer.a.b.c,chat", from_header("a.b.c")),
            ("Bearer.a", from_header("a")),
            ("bearer.", from_header("")),
            ("bearer", Presented::Nothing),
            ("chat", Presented::Nothing),
            ("", Presented::Nothing),
            ("bearer.a, bearer.b", Presented::Several),
            ("bearer.a, chat, bearer.a", Presented::Several),
        ] {
            let text = format!("sec-websocket-protocol\n{value}\n");
            assert_eq!(found(&text, &TokenSource::Websocket), wanted, "{value}");
            assert_eq!(found(&text, &TokenSource::Bearer), Presented::Nothing);
            let both = format!("authorization\nBearer x\n{text}");
            let expected = if wanted == Presented::Nothing {
                from_header("x")
            } else {
                Presented::Several
            };
            assert_eq!(found(&both, &TokenSource::Websocket), expected, "{value}");
        }
    }

    #[test]
    fn subprotocols_with_tokens_are_removed_and_others_stay() {
        for (protocols, rest) in [
            ("bearer.a.b.c", None),
            ("chat, bearer.a.b.c", Some("chat")),
            ("bearer.a,chat,v2", Some("chat, v2")),
            ("BEARER.a, bearer.b", None),
            ("chat", Some("chat")),
            ("bearer", Some("bearer")),
        ] {
            assert_eq!(without_tokens(protocols).as_deref(), rest, "{protocols}");
        }
    }

    #[test]
    fn cookie_is_not_looked_at_on_a_bearer_route() {
        let text = "cookie\n__Host-token=abc\n";
        assert_eq!(found(text, &TokenSource::Bearer), Presented::Nothing);
    }

    #[test]
    fn cookie_is_removed_and_others_stay() {
        for (cookies, rest) in [
            ("__Host-token=abc", None),
            ("a=1; __Host-token=abc; b=2", Some("a=1; b=2")),
            ("__Host-token = abc; b=2", Some("b=2")),
            ("a=1;; b=2", Some("a=1; b=2")),
        ] {
            assert_eq!(without_cookie(cookies, NAME).as_deref(), rest, "{cookies}");
        }
    }
}
