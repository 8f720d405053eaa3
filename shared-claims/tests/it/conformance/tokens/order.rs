//! Two faults at once: the earlier rule names the refusal, the same in every host.

use super::{Case, case, with_claims, with_header};
use crate::forge::{NOW, claims, encode, header, plain, segments, signed};

pub fn cases() -> Vec<Case> {
    [
        before_the_key(),
        around_the_signature(),
        after_the_signature(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn before_the_key() -> Vec<Case> {
    let none = header().with("alg", r#""none""#);
    vec![
        case("order: segments before encoding", "?.?", "malformed"),
        case(
            "order: encoding of the signature before the header",
            format!("{}.{}.=", encode(none.json()), encode("{}")),
            "malformed",
        ),
        case(
            "order: encoding of the payload before the header",
            format!("{}.=.AAAA", encode(none.json())),
            "malformed",
        ),
        with_header(
            "order: JSON before alg",
            &none.clone().also("alg", r#""none""#),
            "malformed",
        ),
        with_header(
            "order: alg before crit",
            &none.clone().with("crit", "[]"),
            "unsupported_algorithm",
        ),
        with_header(
            "order: alg before typ",
            &none.clone().with("typ", r#""JWT""#),
            "unsupported_algorithm",
        ),
        with_header(
            "order: alg before kid",
            &none.without("kid"),
            "unsupported_algorithm",
        ),
        with_header(
            "order: crit before typ",
            &header().with("crit", "[]").with("typ", r#""JWT""#),
            "critical_header",
        ),
        with_header(
            "order: jwk before kid",
            &header().with("jwk", "{}").without("kid"),
            "critical_header",
        ),
        with_header(
            "order: typ before kid",
            &header().without("typ").without("kid"),
            "unsupported_type",
        ),
    ]
}

fn around_the_signature() -> Vec<Case> {
    let [h, _, s] = segments(&plain());
    let unknown = header()
        .with("kid", format!("\"{}\"", "A".repeat(43)))
        .json();
    let expired = encode(claims().with("exp", 1).json());
    vec![
        case(
            "order: kid before signature",
            format!(
                "{}.{}.AAAA",
                encode(header().without("kid").json()),
                encode("{}")
            ),
            "missing_key_id",
        ),
        case(
            "order: key before signature",
            format!("{}.{}.AAAA", encode(&unknown), encode("{}")),
            "unknown_key",
        ),
        case(
            "order: key before payload",
            signed(&unknown, "x"),
            "unknown_key",
        ),
        case(
            "order: signature before payload JSON",
            format!("{h}.{}.{s}", encode("x")),
            "bad_signature",
        ),
        case(
            "order: signature before claims",
            format!("{h}.{}.{s}", encode("{}")),
            "bad_signature",
        ),
        case(
            "order: signature before exp",
            format!("{h}.{expired}.{s}"),
            "bad_signature",
        ),
    ]
}

fn after_the_signature() -> Vec<Case> {
    let other_iss = claims().with("iss", r#""x""#);
    let other_aud = claims().with("aud", r#""x""#);
    let late = claims().with("exp", NOW - 31);
    vec![
        with_claims(
            "order: presence before form",
            &claims().with("iss", 1).without("sid"),
            "missing_claim",
        ),
        with_claims(
            "order: form before issuer",
            &other_iss.clone().with("sid", 1),
            "invalid_claim",
        ),
        with_claims(
            "order: form of optional claims before issuer",
            &other_iss.clone().with("role", 1),
            "invalid_claim",
        ),
        with_claims(
            "order: issuer before audience",
            &other_iss.clone().with("aud", r#""x""#),
            "wrong_issuer",
        ),
        with_claims(
            "order: issuer before exp",
            &other_iss.with("exp", 1),
            "wrong_issuer",
        ),
        with_claims(
            "order: audience before exp",
            &other_aud.clone().with("exp", 1),
            "wrong_audience",
        ),
        with_claims(
            "order: audience before nbf",
            &other_aud.with("nbf", NOW + 3000),
            "wrong_audience",
        ),
        with_claims(
            "order: exp before nbf",
            &late.clone().with("nbf", NOW + 3000),
            "expired",
        ),
        with_claims(
            "order: exp before iat",
            &late.clone().with("iat", NOW + 3000),
            "expired",
        ),
        with_claims(
            "order: exp before lifetime",
            &late.with("iat", 0),
            "expired",
        ),
        with_claims(
            "order: nbf before iat",
            &claims().with("nbf", NOW + 31).with("iat", NOW + 31),
            "not_yet_valid",
        ),
        with_claims(
            "order: nbf before lifetime",
            &claims().with("nbf", NOW + 31).with("iat", 0),
            "not_yet_valid",
        ),
        with_claims(
            "order: iat before lifetime",
            &claims().with("iat", NOW + 31).with("exp", NOW + 9000),
            "issued_in_future",
        ),
    ]
}
