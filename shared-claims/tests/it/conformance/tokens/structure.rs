//! Segments and their encoding.

use super::{Case, accepted, case};
use crate::forge::{claims, encode, header, plain, segments, signed, signed_text};

pub fn cases() -> Vec<Case> {
    [
        sizes(),
        segment_counts(),
        encodings(),
        signed_encodings(),
        unused_bits(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sizes() -> Vec<Case> {
    vec![
        case("8193 bytes", accepted::of_size(8193), "too_large"),
        case("9000 dots", ".".repeat(9000), "too_large"),
        case("size before structure", "x".repeat(8193), "too_large"),
        case("8192 dots", ".".repeat(8192), "malformed"),
    ]
}

fn segment_counts() -> Vec<Case> {
    let token = plain();
    let [h, p, s] = segments(&token);
    let bad = |name, token: String| case(name, token, "malformed");
    let json = format!(r#"{{"protected":"{h}","payload":"{p}","signature":"{s}"}}"#);
    vec![
        bad("wycheproof jws 13: empty string", String::new()),
        bad("one dot", ".".into()),
        case("wycheproof jws 12: two dots", "..", "malformed"),
        bad("three dots", "...".into()),
        case(
            "wycheproof jws 3: signature empty",
            format!("{h}.{p}."),
            "bad_signature",
        ),
        bad(
            "wycheproof jws 4: signature and dot missing",
            format!("{h}.{p}"),
        ),
        case(
            "wycheproof jws 6: payload empty",
            format!("{h}..{s}"),
            "bad_signature",
        ),
        bad(
            "wycheproof jws 7: payload and dot missing",
            format!("{h}.{s}"),
        ),
        bad("wycheproof jws 9: header empty", format!(".{p}.{s}")),
        bad(
            "wycheproof jws 10: header and dot missing",
            format!("{p}.{s}"),
        ),
        bad(
            "wycheproof jws 11: header and signature empty",
            format!(".{p}."),
        ),
        bad(
            "wycheproof jws 14: extra empty segment",
            format!("{token}."),
        ),
        bad("wycheproof jws 15: extra segment", format!("{token}.{s}")),
        bad("empty segment in front", format!(".{token}")),
        bad("five segments, as JWE", format!("{h}.{p}.{s}.{p}.{s}")),
        bad("token twice", format!("{token}{token}")),
        bad("token twice with a dot", format!("{token}.{token}")),
        bad("wycheproof jws 17: JSON serialisation", json),
        bad("header only", h),
    ]
}

fn encodings() -> Vec<Case> {
    let token = plain();
    let [h, p, s] = segments(&token);
    let bad = |name, token: String| case(name, token, "malformed");
    vec![
        bad("space in front", format!(" {token}")),
        bad("space behind", format!("{token} ")),
        bad("line feed behind", format!("{token}\n")),
        bad(
            "carriage return and line feed behind",
            format!("{token}\r\n"),
        ),
        bad("Bearer in front", format!("Bearer {token}")),
        bad("quotes around", format!("\"{token}\"")),
        bad(
            "wycheproof jws 365: space in header",
            format!("{} {}.{p}.{s}", &h[..9], &h[9..]),
        ),
        bad(
            "wycheproof jws 366: foreign character in header",
            format!("{}?{}.{p}.{s}", &h[..9], &h[9..]),
        ),
        bad(
            "wycheproof jws 368: space in payload",
            format!("{h}.{} {}.{s}", &p[..9], &p[9..]),
        ),
        bad(
            "wycheproof jws 369: foreign character in payload",
            format!("{h}.{}!{}.{s}", &p[..9], &p[9..]),
        ),
        bad(
            "wycheproof jws 360: space in signature",
            format!("{h}.{p}.{} {}", &s[..9], &s[9..]),
        ),
        bad(
            "wycheproof jws 361: foreign character in signature",
            format!("{h}.{p}.{}${}", &s[..9], &s[9..]),
        ),
        bad(
            "line feed in signature",
            format!("{h}.{p}.{}\n{}", &s[..9], &s[9..]),
        ),
        bad(
            "wycheproof jws 367: padding of header",
            format!("{h}=.{p}.{s}"),
        ),
        bad(
            "wycheproof jws 370: padding of payload",
            format!("{h}.{p}=.{s}"),
        ),
        bad("padding of signature", format!("{token}==")),
        bad("NUL in payload", format!("{h}.{p}\0.{s}")),
        bad("letter outside ASCII", format!("{h}.{p}\u{e9}.{s}")),
        bad(
            "full-width letters",
            format!("{h}.\u{ff21}\u{ff22}\u{ff23}\u{ff24}.{s}"),
        ),
        bad("percent encoding", token.replace('.', "%2e")),
        bad(
            "signature one character short",
            token[..token.len() - 1].to_owned(),
        ),
        case(
            "signature four characters short",
            &token[..token.len() - 4],
            "malformed",
        ),
        bad(
            "payload of impossible length",
            format!("{h}.{}.{s}", &encode("abcd")[..5]),
        ),
    ]
}

/// Rightly signed over the wrong text: the decoder has to notice, not the signature.
fn signed_encodings() -> Vec<Case> {
    let [h, p, _] = segments(&plain());
    let bad = |name, text: String| case(name, signed_text(&text), "malformed");
    let alphabet = signed(
        header().json(),
        claims().with("pad", "\"\u{3ff}\u{fff}~~~???\"").json(),
    );
    let [_, url, _] = segments(&alphabet);
    let padded = encode(json_of_length(2));
    assert!(
        url.contains(['-', '_']),
        "the payload has characters of the URL alphabet"
    );
    vec![
        bad(
            "wycheproof jws 372: foreign character signed in header",
            format!("{}?{}.{p}", &h[..9], &h[9..]),
        ),
        bad(
            "wycheproof jws 373: foreign character signed in payload",
            format!("{h}.{}?{}", &p[..9], &p[9..]),
        ),
        bad("padding signed", format!("{h}.{padded}=")),
        bad(
            "alphabet of plain base64 signed",
            format!("{h}.{}", url.replace('-', "+").replace('_', "/")),
        ),
        bad(
            "line feed signed in payload",
            format!("{h}.{}\n{}", &p[..8], &p[8..]),
        ),
    ]
}

/// One text for one token: bits that decode to nothing must be zero.
fn unused_bits() -> Vec<Case> {
    let [h, one, s] = segments(&signed(header().json(), json_of_length(1)));
    let [_, two, _] = segments(&signed(header().json(), json_of_length(2)));
    let [_, p, sig] = segments(&plain());
    let short = header().with("pad", r#""x""#).json();
    let header_text = encode(if short.len().is_multiple_of(3) {
        format!("{short} ")
    } else {
        short
    });
    vec![
        case(
            "wycheproof jws 374: unused bits of payload",
            signed_text(&format!("{h}.{}", bump(&one))),
            "malformed",
        ),
        case(
            "unused bits of payload, two bytes",
            signed_text(&format!("{h}.{}", bump(&two))),
            "malformed",
        ),
        case(
            "unused bits of header",
            signed_text(&format!("{}.{p}", bump(&header_text))),
            "malformed",
        ),
        case(
            "unused bits of signature",
            format!("{h}.{p}.{}", bump(&sig)),
            "malformed",
        ),
        case(
            "unused bits of signature and payload",
            format!("{h}.{}.{}", bump(&one), bump(&s)),
            "malformed",
        ),
    ]
}

/// Good claims whose text leaves this rest when its length is divided by three.
fn json_of_length(rest: usize) -> String {
    let padded = |n: usize| {
        claims()
            .with("pad", format!("\"{}\"", "x".repeat(n)))
            .json()
    };
    (0..3)
        .map(padded)
        .find(|json| json.len() % 3 == rest)
        .expect("one of three lengths")
}

/// The same bytes for a lenient decoder, with the lowest unused bit set.
fn bump(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let at = ALPHABET.find(last).expect("a character of the alphabet");
    assert!(
        at % 2 == 0 && !text.len().is_multiple_of(4),
        "the lowest bit is unused"
    );
    format!("{rest}{}", &ALPHABET[at + 1..at + 2])
}
