//! Key sets: how many usable keys each has, or that it is refused.

use serde::{Deserialize, Serialize};

use crate::forge::{KID, X, decode, encode, jwk, key_set, other_jwk, quoted};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub name: String,
    pub document: String,
    /// `null`: the document is refused.
    pub usable_keys: Option<usize>,
}

pub fn all() -> Vec<Case> {
    [accepted(), skipped(), refused(), unreadable()]
        .into_iter()
        .flatten()
        .collect()
}

fn accepted() -> Vec<Case> {
    let one = |name, key| case(name, key_set(&[key]), Some(1));
    vec![
        one("one key", jwk()),
        case("two keys", key_set(&[jwk(), other_jwk()]), Some(2)),
        one("use sig", jwk().with("use", r#""sig""#)),
        one("key_ops verify", jwk().with("key_ops", r#"["verify"]"#)),
        one(
            "key_ops sign and verify",
            jwk().with("key_ops", r#"["sign","verify"]"#),
        ),
        one("alg EdDSA", jwk().with("alg", r#""EdDSA""#)),
        one("alg Ed25519", jwk().with("alg", r#""Ed25519""#)),
        one("unknown member of a key", jwk().with("x5t", "[1]")),
        case(
            "unknown member of the set",
            format!(r#"{{"next":1,"keys":[{}]}}"#, jwk().json()),
            Some(1),
        ),
        case(
            "white space",
            format!(" {{\n\"keys\" :\t[ {} ] }}\r\n", jwk().json()),
            Some(1),
        ),
        case("16 keys", key_set(&many(16)), Some(1)),
        case("64 KiB", padded(64 * 1024), Some(1)),
    ]
}

/// A key that cannot be used beside one that can.
fn skipped() -> Vec<Case> {
    let x = decode(X);
    let low_order = encode([0u8; 32]);
    let beside = |name: &str, key| {
        case(
            &format!("skipped: {name}"),
            key_set(&[key, other_jwk()]),
            Some(1),
        )
    };
    vec![
        beside(
            "kty unknown",
            jwk().with("kty", r#""AKP""#).with("pub", r#""AAAA""#),
        ),
        beside("kty EC", jwk().with("kty", r#""EC""#)),
        beside("kty absent", jwk().without("kty")),
        beside("kty no string", jwk().with("kty", "1")),
        beside("kty in lower case", jwk().with("kty", r#""okp""#)),
        beside("crv X25519", jwk().with("crv", r#""X25519""#)),
        beside("crv P-256", jwk().with("crv", r#""P-256""#)),
        beside("crv absent", jwk().without("crv")),
        beside("use enc", jwk().with("use", r#""enc""#)),
        beside("use no string", jwk().with("use", r#"["sig"]"#)),
        beside(
            "key_ops without verify",
            jwk().with("key_ops", r#"["sign"]"#),
        ),
        beside("key_ops empty", jwk().with("key_ops", "[]")),
        beside("key_ops a string", jwk().with("key_ops", r#""verify""#)),
        beside("alg RS256", jwk().with("alg", r#""RS256""#)),
        beside("alg null", jwk().with("alg", "null")),
        beside("kid absent", jwk().without("kid")),
        beside(
            "kid of another key",
            jwk().with("kid", quoted(&KID.replace('k', "l"))),
        ),
        beside("kid no string", jwk().with("kid", "1")),
        beside("x absent", jwk().without("x")),
        beside("x short", jwk().with("x", quoted(&encode(&x[..31])))),
        beside(
            "x long",
            jwk().with("x", quoted(&encode([&x[..], &[0]].concat()))),
        ),
        beside("x empty", jwk().with("x", r#""""#)),
        beside("x padded", jwk().with("x", quoted(&format!("{X}=")))),
        beside(
            "x with unused bits set",
            jwk().with("x", quoted(&X.replace("URo", "URp"))),
        ),
        beside("x no string", jwk().with("x", "[]")),
        beside(
            "x of small order",
            jwk()
                .with("x", quoted(&low_order))
                .with("kid", quoted(&thumbprint([0; 32]))),
        ),
        beside("x not reduced", unreduced()),
        beside("x not on the curve", off_curve()),
    ]
}

fn refused() -> Vec<Case> {
    let refuse = |name: &str, keys: &[_]| case(&format!("refused: {name}"), key_set(keys), None);
    vec![
        refuse("no keys", &[]),
        refuse("no usable key", &[jwk().with("use", r#""enc""#)]),
        refuse("17 keys", &many(17)),
        refuse("private key", &[jwk().with("d", quoted(X))]),
        refuse(
            "private part of any form",
            &[jwk().with("d", "null"), other_jwk()],
        ),
        refuse(
            "private part of a skipped key",
            &[
                jwk().with("kty", r#""RSA""#).with("d", r#""AQAB""#),
                other_jwk(),
            ],
        ),
        refuse(
            "symmetric key",
            &[
                jwk().with("kty", r#""oct""#).with("k", r#""AAAA""#),
                other_jwk(),
            ],
        ),
        refuse(
            "private part of an AKP key",
            &[
                jwk().with("kty", r#""AKP""#).with("priv", r#""AAAA""#),
                other_jwk(),
            ],
        ),
        refuse("one kid twice", &[jwk(), jwk()]),
        refuse(
            "one kid twice, one key skipped",
            &[jwk(), jwk().with("kty", r#""EC""#)],
        ),
        refuse("a member twice", &[jwk().also("x", quoted(X))]),
        refuse(
            "a member twice, once escaped",
            &[jwk().also(r"\u0078", quoted(X))],
        ),
    ]
}

fn unreadable() -> Vec<Case> {
    let refuse =
        |name: &str, document: &str| case(&format!("refused: {name}"), document.to_owned(), None);
    let good = key_set(&[jwk()]);
    vec![
        refuse("empty", ""),
        refuse("an array", "[]"),
        refuse("a single key", &jwk().json()),
        refuse("no member keys", "{}"),
        refuse("keys an object", r#"{"keys":{}}"#),
        refuse("keys null", r#"{"keys":null}"#),
        refuse(
            "a key that is a string",
            &format!(r#"{{"keys":["x",{}]}}"#, jwk().json()),
        ),
        refuse("keys twice", &format!(r#"{{"keys":[],{}"#, &good[1..])),
        refuse("byte order mark", &format!("\u{feff}{good}")),
        refuse("text behind", &format!("{good}x")),
        refuse("second document behind", &format!("{good}{good}")),
        refuse("cut off", &good[..good.len() - 1]),
        refuse("trailing comma", &good.replace("]}", ",]}")),
        refuse("comment", &format!("/**/{good}")),
        refuse(
            "nine levels",
            &format!(r#"{{"a":{}{},{}"#, "[".repeat(8), "]".repeat(8), &good[1..]),
        ),
        refuse("HTML", "<!doctype html><title>404</title>"),
        refuse("64 KiB and a byte", &padded(64 * 1024 + 1)),
    ]
}

fn case(name: &str, document: String, usable_keys: Option<usize>) -> Case {
    Case {
        name: name.to_owned(),
        document,
        usable_keys,
    }
}

/// One usable key among others nobody can use.
fn many(n: usize) -> Vec<crate::forge::Members> {
    let unknown = |i| {
        jwk()
            .with("kty", r#""NEW""#)
            .with("kid", format!(r#""{i}""#))
    };
    std::iter::once(jwk()).chain((1..n).map(unknown)).collect()
}

fn padded(bytes: usize) -> String {
    let document = key_set(&[jwk()]);
    format!("{document}{}", " ".repeat(bytes - document.len()))
}

fn thumbprint(public_key: [u8; 32]) -> String {
    shared_claims::thumbprint(&public_key).to_string()
}

/// y = p + 3, a second encoding of the point with y = 3.
fn unreduced() -> crate::forge::Members {
    let mut bytes = [0xff; 32];
    (bytes[0], bytes[31]) = (0xf0, 0x7f);
    jwk()
        .with("x", quoted(&encode(bytes)))
        .with("kid", quoted(&thumbprint(bytes)))
}

/// y = 2 has no x.
fn off_curve() -> crate::forge::Members {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    jwk()
        .with("x", quoted(&encode(bytes)))
        .with("kid", quoted(&thumbprint(bytes)))
}
