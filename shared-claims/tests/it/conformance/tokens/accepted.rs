//! What must pass: strictness that refuses good tokens is a fault as well.

use super::{Case, case, with_claims, with_header, with_payload};
use crate::forge::{
    AUDIENCE, NOW, claims, decode, encode, header, jwk, other_jwk, other_key, plain, quoted,
    segments, signed, signed_by,
};

pub fn cases() -> Vec<Case> {
    [headers(), payloads(), times(), keys()]
        .into_iter()
        .flatten()
        .collect()
}

fn headers() -> Vec<Case> {
    let spaced = header().json().replace(':', " : ").replace(',', ",\r\n\t");
    let token = |header: &str| signed(header, claims().json());
    vec![
        case("plain", plain(), "ok"),
        with_header(
            "alg Ed25519 (RFC 9864)",
            &header().with("alg", r#""Ed25519""#),
            "ok",
        ),
        with_header(
            "typ with application/",
            &header().with("typ", r#""application/at+jwt""#),
            "ok",
        ),
        with_header(
            "typ in capitals",
            &header().with("typ", r#""AT+JWT""#),
            "ok",
        ),
        with_header(
            "typ mixed",
            &header().with("typ", r#""Application/At+Jwt""#),
            "ok",
        ),
        with_header(
            "typ escaped",
            &header().with("typ", r#""\u0061t+jwt""#),
            "ok",
        ),
        with_header(
            "unknown header members",
            &header().with("cty", r#""x""#).with("n", "[1,{}]"),
            "ok",
        ),
        with_header(
            "x5t is not followed",
            &header().with("x5t", r#""AAAA""#),
            "ok",
        ),
        case(
            "wycheproof jws 376: spaces in header JSON",
            token(&format!(" {spaced} ")),
            "ok",
        ),
        case(
            "wycheproof jws 377: white space in header JSON",
            token(&format!("\n{spaced}\t")),
            "ok",
        ),
        case(
            "header of 128 members",
            token(&many_members(&header().json(), 125)),
            "ok",
        ),
        case(
            "header of eight levels",
            token(&nested(&header().json(), 7)),
            "ok",
        ),
    ]
}

fn payloads() -> Vec<Case> {
    vec![
        with_claims(
            "audience in an array",
            &claims().with("aud", r#"["x","orders"]"#),
            "ok",
        ),
        with_claims(
            "audience alone in an array",
            &claims().with("aud", r#"["orders"]"#),
            "ok",
        ),
        with_claims("all optional claims", &optional(), "ok"),
        with_claims(
            "claims of other parties",
            &claims().with("https://x.example/y", "[1.5,null]"),
            "ok",
        ),
        with_claims(
            "subject outside ASCII",
            &claims().with("sub", "\"\u{1f600} \u{e9}\""),
            "ok",
        ),
        with_claims(
            "subject with a surrogate pair",
            &claims().with("sub", r#""\uD83D\uDE00""#),
            "ok",
        ),
        with_claims(
            "subject with every escape",
            &claims().with("sub", r#""\"\\\/\b\f\n\r\t\u0000""#),
            "ok",
        ),
        with_claims(
            "claim name escaped",
            &claims().without("sub").with(r"s\u0075b", r#""user""#),
            "ok",
        ),
        with_claims(
            "issuer escaped",
            &claims().with("iss", r#""https:\/\/id.example.com""#),
            "ok",
        ),
        with_claims(
            "numbers of every form",
            &claims().with("n", "[0,-0,1e9,-1.5E-3,123456789012345678901]"),
            "ok",
        ),
        with_payload(
            "white space in payload JSON",
            claims().json().replace(',', " ,\n\t"),
            "ok",
        ),
        with_payload(
            "payload of 128 members",
            many_members(&claims().json(), 121),
            "ok",
        ),
        with_payload("payload of eight levels", nested(&claims().json(), 7), "ok"),
        case("8192 bytes", of_size(8192), "ok"),
    ]
}

fn times() -> Vec<Case> {
    let exp = NOW + 600;
    let nbf = with_claims("", &claims().with("nbf", NOW + 30), "ok");
    vec![
        case("last second of leeway after exp", plain(), "ok").at(exp + 29),
        case("last second before exp without leeway", plain(), "ok")
            .leeway(0)
            .at(exp - 1),
        case("last second of the longest leeway", plain(), "ok")
            .leeway(120)
            .at(exp + 119),
        Case {
            name: "nbf at the end of leeway".into(),
            ..nbf
        },
        with_claims("nbf now without leeway", &claims().with("nbf", NOW), "ok").leeway(0),
        with_claims(
            "iat at the end of leeway",
            &claims().with("iat", NOW + 30),
            "ok",
        ),
        with_claims("life of an hour", &claims().with("exp", NOW + 3300), "ok"),
        with_claims(
            "iat 0, life of an hour",
            &claims().with("iat", 0).with("exp", 3600),
            "ok",
        )
        .at(10),
        with_claims(
            "times of twelve digits",
            &claims()
                .with("iat", 999_999_999_990u64)
                .with("exp", 999_999_999_999u64),
            "ok",
        )
        .at(999_999_999_995),
    ]
}

fn keys() -> Vec<Case> {
    let kid = shared_claims::thumbprint(&other_key().verifying_key().to_bytes());
    let header = header().with("kid", quoted(kid.as_str())).json();
    let second = signed_by(
        &other_key(),
        &format!("{}.{}", encode(header), encode(claims().json())),
    );
    vec![
        case("signed by the second key", second, "ok"),
        case(
            "key with alg EdDSA, header Ed25519",
            {
                signed(
                    crate::forge::header().with("alg", r#""Ed25519""#).json(),
                    claims().json(),
                )
            },
            "ok",
        )
        .keys(&[jwk().with("alg", r#""EdDSA""#)]),
        case("key with use and key_ops", plain(), "ok").keys(&[jwk()
            .with("use", r#""sig""#)
            .with("key_ops", r#"["verify"]"#)]),
        case("unknown kinds of key beside", plain(), "ok")
            .keys(&[other_jwk().with("kty", r#""AKP""#), jwk()]),
    ]
}

fn optional() -> crate::forge::Members {
    claims()
        .with("nbf", NOW - 300)
        .with("email", r#""a@example.com""#)
        .with("email_verified", "true")
        .with("role", r#""user""#)
}

/// `object` with `n` more members.
pub fn many_members(object: &str, n: usize) -> String {
    let members = (0..n).fold(String::new(), |members, i| {
        format!("{members}\"m{i}\":{i},")
    });
    format!("{{{members}{}", &object[1..])
}

/// `object` with a member of `levels` arrays in each other.
pub fn nested(object: &str, levels: usize) -> String {
    format!(
        "{{\"deep\":{}{},{}",
        "[".repeat(levels),
        "]".repeat(levels),
        &object[1..]
    )
}

/// A token of exactly so many bytes.
pub fn of_size(bytes: usize) -> String {
    let token = |n| {
        signed(
            header().json(),
            claims().with("pad", quoted(&"x".repeat(n))).json(),
        )
    };
    let base = token(0).len();
    let guess = (bytes - base) * 3 / 4;
    let fits = |n: &usize| token(*n).len() == bytes;
    let n = (guess.saturating_sub(4)..guess + 4)
        .find(fits)
        .expect("a payload of that size");
    let [_, payload, _] = segments(&token(n));
    assert!(decode(&payload).len() > n && AUDIENCE == "orders");
    token(n)
}
