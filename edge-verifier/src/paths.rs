//! Which request paths are clear enough to be matched and forwarded.
//!
//! A path that a proxy and a backend can read in two ways is how authentication is
//! walked around, so it is refused instead of being repaired: what was matched is,
//! byte for byte, what is forwarded. Routes are compared with the path after one
//! percent-decoding, because a backend will decode it: `/%61dmin` is `/admin`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// It does not begin with a slash.
    NotAbsolute,
    /// A byte that has no place in a path (RFC 3986, section 3.3), among them
    /// backslash, semicolon, `#` and everything a URL parser would rewrite.
    ForbiddenByte,
    /// An encoded slash, backslash, percent, semicolon or control character.
    ForbiddenEncoding,
    /// `%` without two hexadecimal digits.
    BrokenEncoding,
    /// Two slashes in a row.
    EmptySegment,
    /// `.` or `..`, before or after decoding.
    DotSegment,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

/// Checks a raw path and answers its decoded form.
///
/// # Errors
/// The first fault in the order of the bytes.
pub fn check(raw: &str) -> Result<Cow<'_, str>, PathFault> {
    if !raw.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    let decoded = decode(raw)?;
    check_segments(&decoded)?;
    Ok(decoded)
}

/// Whether a literal from `edge.toml` equals some path that [`check`] lets through.
pub fn is_plain_literal(literal: &str) -> bool {
    let plain = |byte: u8| !byte.is_ascii() || (is_plain(byte) && byte != b'%');
    literal.starts_with('/') && literal.bytes().all(plain) && check_segments(literal).is_ok()
}

/// Removes the first `n_segments` segments; the rest begins with a slash.
pub fn strip_segments(raw: &str, n_segments: u32) -> &str {
    let mut rest = raw;
    for _ in 0..n_segments {
        match rest[1..].find('/') {
            Some(slash) => rest = &rest[slash + 1..],
            None => return "/",
        }
    }
    rest
}

/// A query as the runtime's URL parser will write it (the URL standard, "special-query
/// percent-encode set"), so that what is said about a request is what is sent.
pub fn encode_query(raw: &str) -> Cow<'_, str> {
    let stays = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>');
    if raw.bytes().all(stays) {
        return Cow::Borrowed(raw);
    }
    let mut encoded = String::with_capacity(raw.len() + 16);
    for byte in raw.bytes() {
        if stays(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

fn decode(raw: &str) -> Result<Cow<'_, str>, PathFault> {
    if let Some(fault) = raw
        .bytes()
        .find(|byte| !is_plain(*byte))
        .map(|_| PathFault::ForbiddenByte)
    {
        return Err(fault);
    }
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            decode_one(&mut bytes)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| PathFault::NotUtf8)
}

fn decode_one(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, PathFault> {
    let mut digit = || {
        bytes
            .next()
            .and_then(hex_value)
            .ok_or(PathFault::BrokenEncoding)
    };
    let byte = digit()? * 16 + digit()?;
    let forbidden = byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'%' | b';');
    if forbidden {
        Err(PathFault::ForbiddenEncoding)
    } else {
        Ok(byte)
    }
}

fn check_segments(path: &str) -> Result<(), PathFault> {
    let n_segments = path.split('/').count();
    for (index, segment) in path.split('/').enumerate().skip(1) {
        match segment {
            "" if index + 1 < n_segments => return Err(PathFault::EmptySegment),
            "." | ".." => return Err(PathFault::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The bytes of RFC 3986's `pchar` without `;`, plus `[`, `]` and `|`, which browsers
/// send as they are and no URL parser rewrites.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'%'
                | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
                | b'['
                | b']'
                | b'|'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass_and_are_decoded_once() {
        for (raw, decoded) in [
            ("/", "/"),
            ("/api", "/api"),
            ("/api/", "/api/"),
            ("/api/a-b_c.d~e!$&'()*+,=:@", "/api/a-b_c.d~e!$&'()*+,=:@"),
            ("/items[0]|x", "/items[0]|x"),
            ("/%61pi/x", "/api/x"),
            ("/caf%C3%A9", "/café"),
            ("/a%20b", "/a b"),
            ("/a%3Fb%23c", "/a?b#c"),
            ("/...", "/..."),
            ("/.hidden/..x/x..", "/.hidden/..x/x.."),
        ] {
            assert_eq!(check(raw).as_deref(), Ok(decoded), "{raw}");
        }
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for (raw, fault) in [
            ("", PathFault::NotAbsolute),
            ("api", PathFault::NotAbsolute),
            ("*", PathFault::NotAbsolute),
            ("http://other/api", PathFault::NotAbsolute),
            ("/api%2fadmin", PathFault::ForbiddenEncoding),
            ("/api%2Fadmin", PathFault::ForbiddenEncoding),
            ("/api%5cadmin", PathFault::ForbiddenEncoding),
            ("/api%5Cadmin", PathFault::ForbiddenEncoding),
            ("/api%00", PathFault::ForbiddenEncoding),
            (
                "/api%0d%0aX-Auth-User:%20root",
                PathFault::ForbiddenEncoding,
            ),
            ("/api%7f", PathFault::ForbiddenEncoding),
            ("/api%252fadmin", PathFault::ForbiddenEncoding),
            ("/api%25", PathFault::ForbiddenEncoding),
            ("/api%3badmin", PathFault::ForbiddenEncoding),
            ("/api%3Badmin", PathFault::ForbiddenEncoding),
            ("/api;admin", PathFault::ForbiddenByte),
            ("/api\\admin", PathFault::ForbiddenByte),
            ("/\\evil.example", PathFault::ForbiddenByte),
            ("/api#x", PathFault::ForbiddenByte),
            ("/api x", PathFault::ForbiddenByte),
            ("/api\u{0}", PathFault::ForbiddenByte),
            ("/api\r\nx", PathFault::ForbiddenByte),
            ("/api/{id}", PathFault::ForbiddenByte),
            ("/api/\"x\"", PathFault::ForbiddenByte),
            ("/api/<x>", PathFault::ForbiddenByte),
            ("/api/x^y", PathFault::ForbiddenByte),
            ("/api/x`y", PathFault::ForbiddenByte),
            ("/caf\u{e9}", PathFault::ForbiddenByte),
            ("/api%", PathFault::BrokenEncoding),
            ("/api%2", PathFault::BrokenEncoding),
            ("/api%zz", PathFault::BrokenEncoding),
            ("/api%u002f", PathFault::BrokenEncoding),
            ("//api", PathFault::EmptySegment),
            ("/api//admin", PathFault::EmptySegment),
            ("/api//", PathFault::EmptySegment),
            ("/api/./admin", PathFault::DotSegment),
            ("/api/../admin", PathFault::DotSegment),
            ("/api/..", PathFault::DotSegment),
            ("/.", PathFault::DotSegment),
            ("/api/%2e%2e/admin", PathFault::DotSegment),
            ("/api/.%2E/admin", PathFault::DotSegment),
            ("/api/%2e", PathFault::DotSegment),
            ("/api/%c0%af", PathFault::NotUtf8),
            ("/api/%ff", PathFault::NotUtf8),
        ] {
            assert_eq!(check(raw).as_deref(), Err(&fault), "{raw}");
        }
    }

    #[test]
    fn every_literal_is_either_refused_or_reachable() {
        for literal in ["/", "/api/", "/healthz", "/über/", "/a@b"] {
            assert!(is_plain_literal(literal), "{literal}");
        }
        for literal in [
            "", "api", "/a%20b", "/a;b", "/a//b", "/a/../b", "/a\\b", "/a?b", "/a#b", "/a b",
        ] {
            assert!(!is_plain_literal(literal), "{literal}");
        }
    }

    #[test]
    fn query_is_written_as_the_url_parser_writes_it() {
        for (raw, encoded) in [
            ("", ""),
            ("?a=%2f&b=c?d;/..", "?a=%2f&b=c?d;/.."),
            ("?'a'=\"<b>\"", "?%27a%27=%22%3Cb%3E%22"),
            ("?a b\t", "?a%20b%09"),
            ("?é", "?%C3%A9"),
            ("?%zz|^`{}[]\\", "?%zz|^`{}[]\\"),
        ] {
            assert_eq!(encode_query(raw), encoded, "{raw}");
        }
    }

    #[test]
    fn segments_are_removed_from_the_raw_path() {
        for (raw, n_segments, rest) in [
            ("/api/v1/items", 0, "/api/v1/items"),
            ("/api/v1/items", 1, "/v1/items"),
            ("/api/v1/items", 2, "/items"),
            ("/%61pi/v1/a%20b", 2, "/a%20b"),
            ("/api/", 1, "/"),
            ("/api", 1, "/"),
            ("/", 3, "/"),
        ] {
            assert_eq!(strip_segments(raw, n_segments), rest, "{raw} {n_segments}");
        }
    }
}
