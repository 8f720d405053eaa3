//! The verifier's interface; its verdicts are the conformance list's.

use shared_claims::{
    KeySet, Kid, Leeway, Policy, UnixTime, UnverifiedToken, Verifier, VerifyError, thumbprint,
};

use crate::forge::{self, AUDIENCE, ISSUER, NOW, claims, header, jwk, key_set, plain, signed};

#[test]
fn claims_are_what_the_token_says() {
    let payload = claims()
        .with("nbf", NOW - 5)
        .with("email", r#""\u00e9@example.com""#)
        .with("email_verified", "false")
        .with("role", r#""admin""#)
        .with("tenant", "[1]")
        .json();
    let token = verify(&signed(header().json(), &payload)).expect("the token is good");
    assert_eq!(
        (&*token.iss, &*token.sub, &*token.jti, &*token.sid),
        (ISSUER, "user-1", "token-1", "session-1")
    );
    assert_eq!(token.aud, [AUDIENCE]);
    assert_eq!(
        (token.exp, token.iat, token.nbf),
        (
            secs(600),
            UnixTime::from_secs(NOW - 300),
            Some(UnixTime::from_secs(NOW - 5))
        )
    );
    assert_eq!(
        (token.email.as_deref(), token.email_verified),
        (Some("é@example.com"), Some(false))
    );
    assert_eq!(token.role.as_deref(), Some("admin"));
    assert_eq!(token.kid().as_str(), forge::KID);
    assert_eq!(token.payload(), payload);
    assert_eq!(token.into_inner().sub, "user-1");
}

#[test]
fn absent_claims_are_none() {
    let token = verify(&plain()).expect("the token is good");
    assert_eq!(
        (token.nbf, &token.email, token.email_verified, &token.role),
        (None, &None, None, &None)
    );
}

#[test]
fn any_audience_of_the_policy_will_do() {
    let mut policy = Policy::new(ISSUER, "billing");
    let verdict = |policy: &Policy| {
        Verifier::new(policy.clone())
            .verify(&plain(), &keys(), secs(0))
            .map(drop)
    };
    assert_eq!(verdict(&policy), Err(VerifyError::WrongAudience));
    policy.audience.push(AUDIENCE.to_owned());
    assert_eq!(verdict(&policy), Ok(()));
    policy.audience.clear();
    assert_eq!(verdict(&policy), Err(VerifyError::WrongAudience));
}

#[test]
fn audience_of_the_call_replaces_those_of_the_policy() {
    let verdict = |audience| {
        verifier()
            .verify_for(audience, &plain(), &keys(), secs(0))
            .map(drop)
    };
    assert_eq!(verdict(AUDIENCE), Ok(()));
    assert_eq!(verdict("billing"), Err(VerifyError::WrongAudience));
    let other = signed(header().json(), claims().with("aud", r#""billing""#).json());
    assert!(
        verifier()
            .verify_for("billing", &other, &keys(), secs(0))
            .is_ok()
    );
    assert!(verifier().verify(&other, &keys(), secs(0)).is_err());
}

#[test]
fn parsed_token_names_its_key_and_is_verified_the_same() {
    let token = plain();
    let parsed = UnverifiedToken::parse(&token).expect("the header is good");
    assert_eq!(parsed.kid().as_str(), forge::KID);
    let verified = verifier().verify_parsed(None, parsed.clone(), &keys(), secs(0));
    assert_eq!(verified, verify(&token));
    let empty = KeySet::default();
    let error = verifier()
        .verify_parsed(None, parsed, &empty, secs(0))
        .unwrap_err();
    assert_eq!(error, VerifyError::UnknownKey);
}

#[test]
fn kept_token_is_judged_again_by_the_time() {
    let token = verify(&plain()).expect("the token is good");
    let again = |audience, now| verifier().recheck(audience, &token, now);
    assert_eq!(again(None, secs(629)), Ok(()));
    assert_eq!(again(None, secs(630)), Err(VerifyError::Expired));
    assert_eq!(
        again(Some("billing"), secs(0)),
        Err(VerifyError::WrongAudience)
    );
    assert_eq!(
        again(None, UnixTime::from_secs(NOW - 331)),
        Err(VerifyError::IssuedInFuture)
    );
    let strangers = Verifier::new(Policy::new("https://other.example", AUDIENCE));
    assert_eq!(
        strangers.recheck(None, &token, secs(0)),
        Err(VerifyError::WrongIssuer)
    );
}

#[test]
fn longer_life_is_allowed_by_the_policy_alone() {
    let policy = Policy {
        max_lifetime_secs: 7_200,
        ..Policy::new(ISSUER, AUDIENCE)
    };
    let token = |life: u64| {
        signed(
            header().json(),
            claims().with("iat", NOW).with("exp", NOW + life).json(),
        )
    };
    let verdict = |life| {
        Verifier::new(policy.clone())
            .verify(&token(life), &keys(), secs(0))
            .map(drop)
    };
    assert_eq!(verdict(7_200), Ok(()));
    assert_eq!(verdict(7_201), Err(VerifyError::LifetimeTooLong));
}

#[test]
fn leeway_is_at_most_two_minutes() {
    assert_eq!(Leeway::from_secs(120).map(Leeway::as_secs), Some(120));
    assert_eq!(Leeway::from_secs(121), None);
    assert_eq!(Leeway::default().as_secs(), 30);
}

#[test]
fn end_of_time_is_no_overflow() {
    let end = UnixTime::from_secs(u64::MAX);
    assert_eq!(
        verifier().verify(&plain(), &keys(), end),
        Err(VerifyError::Expired)
    );
    let start = UnixTime::from_secs(0);
    assert_eq!(
        verifier().verify(&plain(), &keys(), start),
        Err(VerifyError::IssuedInFuture)
    );
}

#[test]
fn errors_have_the_code_first_and_name_the_claim() {
    let error =
        |claims: forge::Members| verify(&signed(header().json(), claims.json())).unwrap_err();
    assert_eq!(
        error(claims().without("sid")).to_string(),
        "missing_claim (sid)"
    );
    assert_eq!(
        error(claims().with("exp", 1.5)).to_string(),
        "invalid_claim (exp)"
    );
    assert_eq!(
        verify("a.b").unwrap_err().to_string(),
        "malformed (the number of segments)"
    );
    assert_eq!(
        verify(&"x".repeat(9_000)).unwrap_err().to_string(),
        "too_large"
    );
}

#[test]
fn key_ids_have_43_characters_of_the_alphabet() {
    assert_eq!(
        Kid::parse(forge::KID).map(|kid| kid.to_string()).as_deref(),
        Some(forge::KID)
    );
    for text in [
        "",
        &forge::KID[1..],
        &format!("{}x", forge::KID),
        &forge::KID.replace('_', "/"),
    ] {
        assert_eq!(Kid::parse(text), None, "{text}");
    }
}

#[test]
fn key_set_of_public_keys_is_the_one_it_writes() {
    let public_keys = [forge::key(), forge::other_key()].map(|key| key.verifying_key().to_bytes());
    let set = KeySet::from_public_keys(public_keys).expect("both are good");
    let read = KeySet::from_json(set.to_json().as_bytes()).expect("it is what others publish");
    assert_eq!(
        read.kids().collect::<Vec<_>>(),
        public_keys.map(|key| thumbprint(&key))
    );
    assert_eq!(read.fingerprint(), set.fingerprint());
    let [a, b] = public_keys;
    let turned = KeySet::from_public_keys([b, a]).expect("both are good");
    assert_eq!(turned.fingerprint(), set.fingerprint());
    assert_ne!(
        KeySet::from_public_keys([a])
            .expect("it is good")
            .fingerprint(),
        set.fingerprint()
    );
}

#[test]
fn public_keys_that_cannot_be_published_are_refused() {
    use shared_claims::KeySetError::{DuplicateKeyId, NoUsableKey, TooManyKeys};
    let key = |seed| {
        ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
            .verifying_key()
            .to_bytes()
    };
    let error = |keys: Vec<[u8; 32]>| KeySet::from_public_keys(keys).err();
    assert_eq!(error(vec![key(1), key(1)]), Some(DuplicateKeyId));
    assert_eq!(error(vec![key(1), [0; 32]]), Some(NoUsableKey));
    assert_eq!(error((1..=16).map(key).collect()), None);
    assert_eq!(error((1..=17).map(key).collect()), Some(TooManyKeys));
    assert!(
        KeySet::from_public_keys([])
            .expect("it may be empty")
            .is_empty()
    );
}

#[test]
fn key_set_that_is_not_text_is_refused() {
    let mut document = key_set(&[jwk().with("n", r#""x""#)]).into_bytes();
    assert!(KeySet::from_json(&document).is_ok());
    let at = document
        .iter()
        .rposition(|&byte| byte == b'x')
        .expect("the letter is there");
    document[at] = 0xff;
    assert_eq!(
        KeySet::from_json(&document).err(),
        Some(shared_claims::KeySetError::Malformed)
    );
}

fn verify(
    token: &str,
) -> Result<shared_claims::Verified<shared_claims::AccessClaims>, VerifyError> {
    verifier().verify(token, &keys(), secs(0))
}

fn verifier() -> Verifier {
    Verifier::new(Policy::new(ISSUER, AUDIENCE))
}

fn keys() -> KeySet {
    KeySet::from_json(key_set(&[jwk()]).as_bytes()).expect("the key is good")
}

/// So many seconds after the usual instant.
fn secs(after: u64) -> UnixTime {
    UnixTime::from_secs(NOW + after)
}

#[test]
fn lifetime_is_when_the_token_is_accepted_and_not_a_second_more() {
    let keys = KeySet::from_json(key_set(&[jwk()]).as_bytes()).expect("the key is good");
    let verifier = Verifier::new(Policy::new(ISSUER, AUDIENCE));
    let later = claims().with("nbf", NOW + 40).json();
    for token in [plain(), signed(header().json(), later)] {
        let soon = UnixTime::from_secs(NOW + 60);
        let verified = verifier.verify(&token, &keys, soon).expect("it is good");
        let good = verifier.lifetime_of(&verified);
        let is_accepted = |at: UnixTime| verifier.verify(&token, &keys, at).is_ok();
        assert!(is_accepted(good.start) && !is_accepted(good.start.minus_secs(1)));
        assert!(is_accepted(good.end.minus_secs(1)) && !is_accepted(good.end));
    }
}
