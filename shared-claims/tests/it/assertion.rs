//! Assertions: one request, one backend, one minute.

use shared_claims::sign::{SigningKey, SigningSeed};
use shared_claims::{
    ClaimName, EdgeAssertion, KeySet, Leeway, Part, Policy, Received, UnixTime,
    UnverifiedAssertion, Verifier, VerifyError,
};

use crate::forge::{self, Members, NOW, signed};

const RECEIVED: Received<'_> = Received {
    method: "POST",
    target: "/orders?draft=1",
};

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).expect("the seed is not zero")
}

fn keys() -> KeySet {
    KeySet::from_public_keys([*key().public_key()]).expect("a good key")
}

fn policy() -> Policy {
    Policy {
        leeway: Leeway::from_secs(5).expect("at most 120"),
        ..Policy::new("tollgate-edge", "orders")
    }
}

fn assertion() -> EdgeAssertion {
    EdgeAssertion {
        iss: "tollgate-edge".into(),
        backend: "orders".into(),
        sub: Some("Zoë \"1\"".into()),
        sid: Some("session-1".into()),
        role: Some("admin".into()),
        jti: "request-1".into(),
        iat: UnixTime::from_secs(NOW),
        exp: UnixTime::from_secs(NOW + 60),
        method: "POST".into(),
        target: "/orders?draft=1".into(),
    }
}

fn verdict_at(jws: &str, received: Received<'_>, now: u64) -> Result<EdgeAssertion, VerifyError> {
    EdgeAssertion::from_jws(jws, &keys(), &policy(), received, UnixTime::from_secs(now))
        .map(shared_claims::Verified::into_inner)
}

fn verdict(change: impl FnOnce(&mut EdgeAssertion)) -> Result<EdgeAssertion, VerifyError> {
    let mut changed = assertion();
    change(&mut changed);
    verdict_at(&key().sign_assertion(&changed), RECEIVED, NOW)
}

#[test]
fn what_was_signed_is_read_again_with_and_without_a_user() {
    assert_eq!(verdict(|_| {}), Ok(assertion()));
    let stranger = EdgeAssertion {
        sub: None,
        sid: None,
        role: None,
        ..assertion()
    };
    let jws = key().sign_assertion(&stranger);
    assert_eq!(verdict_at(&jws, RECEIVED, NOW), Ok(stranger));
    let parsed = UnverifiedAssertion::parse(&jws).expect("a good header");
    assert_eq!(parsed.kid(), key().kid());
}

#[test]
fn assertion_for_another_request_backend_or_gateway_is_refused() {
    for (change, error) in [
        (
            (|a| a.iss = "another-edge".into()) as fn(&mut EdgeAssertion),
            VerifyError::WrongIssuer,
        ),
        (
            |a| a.backend = "payments".into(),
            VerifyError::WrongAudience,
        ),
        (
            |a| a.method = "GET".into(),
            VerifyError::InvalidClaim(ClaimName::Htm),
        ),
        (
            |a| a.method = "post".into(),
            VerifyError::InvalidClaim(ClaimName::Htm),
        ),
        (
            |a| a.target = "/orders".into(),
            VerifyError::InvalidClaim(ClaimName::Htu),
        ),
        (
            |a| a.target = "/orders?draft=%31".into(),
            VerifyError::InvalidClaim(ClaimName::Htu),
        ),
        (
            |a| a.target = "/Orders?draft=1".into(),
            VerifyError::InvalidClaim(ClaimName::Htu),
        ),
        (
            |a| a.exp = a.iat.plus_secs(61),
            VerifyError::LifetimeTooLong,
        ),
    ] {
        assert_eq!(verdict(change), Err(error));
    }
}

#[test]
fn assertion_holds_from_its_first_to_its_last_second_and_the_leeway() {
    let jws = key().sign_assertion(&assertion());
    for (now, wanted) in [
        (NOW - 6, Err(VerifyError::IssuedInFuture)),
        (NOW - 5, Ok(assertion())),
        (NOW + 64, Ok(assertion())),
        (NOW + 65, Err(VerifyError::Expired)),
    ] {
        assert_eq!(verdict_at(&jws, RECEIVED, now), wanted, "{}", now - NOW);
    }
}

#[test]
fn assertion_by_a_stranger_or_changed_on_the_way_is_refused() {
    let stranger = SigningKey::from_seed(&[8; 32]).expect("the seed is not zero");
    let jws = stranger.sign_assertion(&assertion());
    assert_eq!(
        verdict_at(&jws, RECEIVED, NOW),
        Err(VerifyError::UnknownKey)
    );
    let jws = key().sign_assertion(&assertion());
    let (signed, signature) = jws.rsplit_once('.').expect("three parts");
    let other = key().sign_assertion(&EdgeAssertion {
        sub: Some("root".into()),
        ..assertion()
    });
    let (other, _) = other.rsplit_once('.').expect("three parts");
    assert_ne!(signed, other);
    let mixed = format!("{other}.{signature}");
    assert_eq!(
        verdict_at(&mixed, RECEIVED, NOW),
        Err(VerifyError::BadSignature)
    );
    let long = "a".repeat(8 * 1024 + 1);
    assert_eq!(verdict_at(&long, RECEIVED, NOW), Err(VerifyError::TooLarge));
}

/// A payload that our own key has signed and that lacks something or has another form.
#[test]
fn member_that_is_missing_or_of_another_form_is_refused() {
    let keys = KeySet::from_public_keys([forge::key().verifying_key().to_bytes()]).expect("good");
    let header = forge::header().with("typ", r#""edge-assertion+jwt""#);
    let members = || {
        Members::new()
            .with("iss", r#""tollgate-edge""#)
            .with("aud", r#""orders""#)
            .with("sub", r#""user-1""#)
            .with("jti", r#""request-1""#)
            .with("iat", NOW)
            .with("exp", NOW + 60)
            .with("htm", r#""POST""#)
            .with("htu", r#""/orders?draft=1""#)
    };
    let verdict = |payload: String| {
        let jws = signed(header.json(), payload);
        let now = UnixTime::from_secs(NOW);
        EdgeAssertion::from_jws(&jws, &keys, &policy(), RECEIVED, now).map(|_| ())
    };
    assert_eq!(verdict(members().json()), Ok(()));
    let malformed = Err(VerifyError::Malformed(Part::Payload));
    for name in ["iss", "aud", "jti", "iat", "exp", "htm", "htu"] {
        assert_eq!(verdict(members().without(name).json()), malformed, "{name}");
    }
    for (name, value) in [
        ("sub", "7"),
        ("sub", "null"),
        ("sid", "[]"),
        ("role", "true"),
        ("aud", r#"["orders"]"#),
        ("exp", r#""1795000060""#),
        ("exp", "1e12"),
    ] {
        let payload = members().with(name, value).json();
        assert_eq!(verdict(payload), malformed, "{name} {value}");
    }
}

#[test]
fn neither_an_access_token_nor_an_assertion_is_taken_for_the_other() {
    let keys = KeySet::from_public_keys([forge::key().verifying_key().to_bytes()]).expect("good");
    let now = UnixTime::from_secs(NOW);
    let claims = forge::claims()
        .with("htm", r#""POST""#)
        .with("htu", r#""/orders?draft=1""#)
        .with("iat", NOW)
        .with("exp", NOW + 60)
        .with("aud", r#""orders""#);
    let policy = Policy::new(forge::ISSUER, "orders");
    let token = signed(forge::header().json(), claims.json());
    let header = forge::header().with("typ", r#""edge-assertion+jwt""#);
    let assertion = signed(header.json(), claims.json());
    let read = |jws: &str| EdgeAssertion::from_jws(jws, &keys, &policy, RECEIVED, now).map(|_| ());
    let verifier = Verifier::new(policy.clone());
    assert_eq!(read(&assertion), Ok(()));
    assert_eq!(read(&token), Err(VerifyError::UnsupportedType));
    assert!(verifier.verify(&token, &keys, now).is_ok());
    assert_eq!(
        verifier.verify(&assertion, &keys, now),
        Err(VerifyError::UnsupportedType)
    );
}

#[test]
fn seed_is_read_from_its_text_and_from_no_other_form() {
    let text = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let read = SigningSeed::parse(text).expect("32 bytes").key();
    assert_eq!(read.kid(), key().kid());
    for text in [
        "",
        "short",
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd",
        " BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
    ] {
        assert!(SigningSeed::parse(text).is_none(), "{text:?}");
    }
}
