//! Signatures that are not right, and keys that must not be used.

use super::{Case, case};
use crate::forge::{
    Members, X, claims, decode, encode, header, jwk, other_jwk, other_key, plain, quoted, segments,
    signed, signed_by, signed_with_torsion,
};

pub fn cases() -> Vec<Case> {
    [bent(), torsion(), foreign(), unusable_keys()]
        .into_iter()
        .flatten()
        .collect()
}

/// The plain token with its signature bent.
fn bent() -> Vec<Case> {
    let [h, p, s] = segments(&plain());
    let bytes = decode(&s);
    let bad = |name: &str, signature: &[u8]| {
        case(
            name,
            format!("{h}.{p}.{}", encode(signature)),
            "bad_signature",
        )
    };
    let flipped = |at: usize, mask: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= mask;
        bytes
    };
    vec![
        bad("wycheproof jws 2: a bit of R flipped", &flipped(0, 1)),
        bad("sign of R flipped", &flipped(31, 0x80)),
        bad("a bit of s flipped", &flipped(32, 1)),
        bad("top bit of s set", &flipped(63, 0x80)),
        bad("s + L", &with_order_added(&bytes)),
        bad("signature of 63 bytes", &bytes[..63]),
        bad(
            "wycheproof jws 379: signature of 65 bytes",
            &[&bytes[..], &[0]].concat(),
        ),
        bad("signature twice", &[&bytes[..], &bytes[..]].concat()),
        bad("signature of 32 bytes", &bytes[..32]),
        bad("signature all zero", &[0; 64]),
        bad("signature all ones", &[0xff; 64]),
        bad("halves swapped", &[&bytes[32..], &bytes[..32]].concat()),
        bad("R the identity, s zero", &[&[1][..], &[0; 63]].concat()),
    ]
}

/// Right but for the cofactor: by a rule that multiplies with it, all of them are good.
fn torsion() -> Vec<Case> {
    let bad = |i: usize| {
        let name = format!("R with a part of small order, number {i}");
        case(&name, signed_with_torsion(i), "bad_signature")
    };
    let good = case(
        "R made of the same numbers without such a part",
        signed_with_torsion(0),
        "ok",
    );
    (1..8).map(bad).chain([good]).collect()
}

/// Right signatures of something else or by somebody else.
fn foreign() -> Vec<Case> {
    let [h, p, s] = segments(&plain());
    let admin = encode(claims().with("role", r#""admin""#).json());
    let respelt = encode(format!(" {}", header().json()));
    let [_, _, other] = segments(&signed(
        header().json(),
        claims().with("jti", r#""2""#).json(),
    ));
    let bad = |name, token: String| case(name, token, "bad_signature");
    vec![
        bad(
            "wycheproof jws 5: payload replaced",
            format!("{h}.{admin}.{s}"),
        ),
        bad(
            "wycheproof jws 8: header respelt",
            format!("{respelt}.{p}.{s}"),
        ),
        bad("signature of another token", format!("{h}.{p}.{other}")),
        bad(
            "signed by the other key",
            signed_by(&other_key(), &format!("{h}.{p}")),
        ),
        bad(
            "payload alone signed",
            format!("{h}.{p}.{}", signature_of(&p)),
        ),
        bad(
            "decoded bytes signed",
            format!(
                "{h}.{p}.{}",
                signature_of(&format!("{}.{}", header().json(), claims().json()))
            ),
        ),
        bad(
            "header and payload signed without dot",
            format!("{h}.{p}.{}", signature_of(&format!("{h}{p}"))),
        ),
        bad(
            "segments signed in the other order",
            format!("{h}.{p}.{}", signature_of(&format!("{p}.{h}"))),
        ),
    ]
}

/// The token is good; the key it names must not be used, so that it is as if it were not there.
fn unusable_keys() -> Vec<Case> {
    let with = |name: &str, key: Members| {
        case(&format!("key unusable: {name}"), plain(), "unknown_key").keys(&[key, other_jwk()])
    };
    let low_order = encode([0u8; 32]);
    let low_order_kid = shared_claims::thumbprint(&[0; 32]);
    let low_order_key = jwk()
        .with("x", quoted(&low_order))
        .with("kid", quoted(low_order_kid.as_str()));
    let low_order_header = header().with("kid", quoted(low_order_kid.as_str())).json();
    let forged = format!(
        "{}.{}.{}",
        encode(low_order_header),
        encode(claims().json()),
        encode([&[1][..], &[0; 63]].concat()),
    );
    vec![
        with("wycheproof jws 353: use enc", jwk().with("use", r#""enc""#)),
        with(
            "wycheproof jws 355: key_ops without verify",
            jwk().with("key_ops", r#"["sign","encrypt"]"#),
        ),
        with(
            "wycheproof jwk 19: alg of another kind",
            jwk().with("alg", r#""ES256""#),
        ),
        with(
            "wycheproof jwk 23: another curve",
            jwk().with("crv", r#""P-256""#),
        ),
        with(
            "wycheproof jwk 24: another kty",
            jwk().with("kty", r#""EC""#),
        ),
        with("X25519", jwk().with("crv", r#""X25519""#)),
        with("x cut short", jwk().with("x", quoted(&X[..42]))),
        with("no kid", jwk().without("kid")),
        case("key unusable: removed from the set", plain(), "unknown_key").keys(&[other_jwk()]),
        case(
            "key unusable: kid of one key on another",
            plain(),
            "unknown_key",
        )
        .keys(&[
            other_jwk().with("kid", quoted(crate::forge::KID)),
            third_jwk(),
        ]),
        case(
            "key unusable: small order, signature anyone can make",
            forged,
            "unknown_key",
        )
        .keys(&[low_order_key, other_jwk()]),
    ]
}

fn third_jwk() -> Members {
    let public_key = ed25519_dalek::SigningKey::from_bytes(&[9; 32])
        .verifying_key()
        .to_bytes();
    let kid = shared_claims::thumbprint(&public_key);
    jwk()
        .with("x", quoted(&encode(public_key)))
        .with("kid", quoted(kid.as_str()))
}

fn signature_of(text: &str) -> String {
    let signed = signed_by(&crate::forge::key(), text);
    signed
        .rsplit_once('.')
        .expect("a signature is behind the last dot")
        .1
        .to_owned()
}

/// The second spelling of a signature that verifiers without a bound on `s` accept.
fn with_order_added(signature: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    let mut carry = 0u16;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    bytes
}

/// L of RFC 8032 §5.1, least significant byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
