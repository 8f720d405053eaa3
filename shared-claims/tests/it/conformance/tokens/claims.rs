//! Claims: presence, form, and what the policy and the time make of them.

use super::{Case, case, with_claims};
use crate::forge::{AUDIENCE, ISSUER, NOW, claims, plain, quoted};

pub fn cases() -> Vec<Case> {
    [
        missing(),
        texts(),
        audiences(),
        instants(),
        issuers(),
        wrong_audiences(),
        times(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn missing() -> Vec<Case> {
    let required = ["iss", "sub", "aud", "exp", "iat", "jti", "sid"];
    let absent = required.map(|name| {
        with_claims(
            &format!("{name} absent"),
            &claims().without(name),
            "missing_claim",
        )
    });
    let capitals = claims().without("sub").with("Sub", r#""user-1""#);
    let empty = super::with_payload("no claims at all", "{}", "missing_claim");
    let other_case = with_claims("sub in other case", &capitals, "missing_claim");
    absent.into_iter().chain([empty, other_case]).collect()
}

fn texts() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["iss", "sub", "jti", "sid", "email", "role"] {
        for (form, json) in [
            ("null", "null"),
            ("a number", "1"),
            ("true", "true"),
            ("an array", r#"["x"]"#),
            ("an object", "{}"),
            ("empty", r#""""#),
        ] {
            let claims = claims().with(name, json);
            cases.push(with_claims(
                &format!("{name} {form}"),
                &claims,
                "invalid_claim",
            ));
        }
    }
    for (form, json) in [
        ("a string", r#""true""#),
        ("a number", "1"),
        ("null", "null"),
    ] {
        let claims = claims().with("email_verified", json);
        cases.push(with_claims(
            &format!("email_verified {form}"),
            &claims,
            "invalid_claim",
        ));
    }
    cases
}

fn audiences() -> Vec<Case> {
    let bad = |form, json: &str| {
        with_claims(
            &format!("aud {form}"),
            &claims().with("aud", json),
            "invalid_claim",
        )
    };
    vec![
        bad("null", "null"),
        bad("a number", "1"),
        bad("true", "true"),
        bad("an object", r#"{"orders":1}"#),
        bad("empty", r#""""#),
        bad("with a number", r#"["orders",1]"#),
        bad("with null", r#"[null,"orders"]"#),
        bad("with an array", r#"["orders",["orders"]]"#),
        bad("with an empty string", r#"["orders",""]"#),
    ]
}

fn instants() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        for (form, json) in [
            ("a string", r#""1795000000""#),
            ("with fraction", "1795000000.5"),
            ("with zero fraction", "1795000000.0"),
            ("with exponent", "1795e6"),
            ("negative", "-1"),
            ("minus zero", "-0"),
            ("of 13 digits", "1795000000000"),
            ("of 40 digits", "1000000000000000000000000000000000000000"),
            ("beyond every number type", "1e400"),
            ("null", "null"),
            ("true", "true"),
            ("an array", "[1795000000]"),
            ("an object", "{}"),
        ] {
            let claims = claims().with(name, json);
            cases.push(with_claims(
                &format!("{name} {form}"),
                &claims,
                "invalid_claim",
            ));
        }
    }
    cases
}

fn issuers() -> Vec<Case> {
    let bad = |name, issuer: &str| {
        with_claims(
            &format!("issuer {name}"),
            &claims().with("iss", quoted(issuer)),
            "wrong_issuer",
        )
    };
    vec![
        bad("of somebody else", "https://attacker.example"),
        bad("with slash behind", &format!("{ISSUER}/")),
        bad("with path", &format!("{ISSUER}/realms/x")),
        bad("in capitals", &ISSUER.to_uppercase()),
        bad("with another scheme", &ISSUER.replace("https", "http")),
        bad("with default port", &format!("{ISSUER}:443")),
        bad("a part of ours", &ISSUER[..ISSUER.len() - 1]),
        bad("with ours in front", &format!("{ISSUER}.attacker.example")),
        bad("with NUL behind", &format!("{ISSUER}\0")),
        bad(
            "with a letter that looks alike",
            &ISSUER.replace('e', "\u{435}"),
        ),
    ]
}

fn wrong_audiences() -> Vec<Case> {
    let bad = |name, json: String| {
        with_claims(
            &format!("audience {name}"),
            &claims().with("aud", json),
            "wrong_audience",
        )
    };
    vec![
        bad("RFC 8725 3.9: of another service", r#""billing""#.into()),
        bad("in capitals", quoted(&AUDIENCE.to_uppercase())),
        bad("a part of ours", quoted(&AUDIENCE[..5])),
        bad("with ours in front", quoted(&format!("{AUDIENCE}-eu"))),
        bad("with space", quoted(&format!("{AUDIENCE} "))),
        bad("two in one text", quoted("orders,billing")),
        bad("two in one text with space", quoted("orders billing")),
        bad("array without ours", r#"["billing","mail"]"#.into()),
        bad("array empty", "[]".into()),
        bad("a wildcard", r#""*""#.into()),
        bad("the issuer", quoted(ISSUER)),
    ]
}

fn times() -> Vec<Case> {
    let exp = NOW + 600;
    let nbf = |secs| claims().with("nbf", NOW + secs);
    let iat = |secs| claims().with("iat", NOW + secs);
    let lifetime = |secs| claims().with("iat", NOW).with("exp", NOW + secs);
    vec![
        case("first second after leeway", plain(), "expired").at(exp + 30),
        case("exp now without leeway", plain(), "expired")
            .leeway(0)
            .at(exp),
        case("first second after the longest leeway", plain(), "expired")
            .leeway(120)
            .at(exp + 120),
        case("expired for a year", plain(), "expired").at(exp + 31_536_000),
        with_claims("exp 0", &claims().with("exp", 0), "expired"),
        with_claims("nbf a second beyond leeway", &nbf(31), "not_yet_valid"),
        with_claims("nbf in a second without leeway", &nbf(1), "not_yet_valid").leeway(0),
        with_claims("nbf after exp", &nbf(3000), "not_yet_valid"),
        with_claims("iat a second beyond leeway", &iat(31), "issued_in_future"),
        with_claims(
            "iat in a second without leeway",
            &iat(1),
            "issued_in_future",
        )
        .leeway(0),
        with_claims(
            "iat of twelve digits",
            &claims().with("iat", 999_999_999_999u64),
            "issued_in_future",
        ),
        with_claims(
            "life of an hour and a second",
            &lifetime(3601),
            "lifetime_too_long",
        ),
        with_claims("life of a year", &lifetime(31_536_000), "lifetime_too_long"),
        with_claims(
            "exp of twelve digits",
            &claims().with("exp", 999_999_999_999u64),
            "lifetime_too_long",
        ),
        with_claims("iat 0", &claims().with("iat", 0), "lifetime_too_long"),
    ]
}
