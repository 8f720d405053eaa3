//! Receipts: what is signed is verified, and nothing else is.

use shared_claims::sign::SigningKey;
use shared_claims::{KeySet, Policy, Receipt, UnixTime, Verifier, VerifyError};

use crate::forge::{self, ISSUER, Members, NOW, decode, quoted, segments, signed};

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).expect("the seed is not zero")
}

fn keys() -> KeySet {
    KeySet::from_public_keys([*key().public_key()]).expect("a good key")
}

fn receipt() -> Receipt {
    Receipt {
        iss: ISSUER.into(),
        sub: "user-1".into(),
        app_id: "chat".into(),
        transaction_id: "3c1.7".into(),
        amount: 1_000_000_000_000,
        description: "one \"answer\"\n".into(),
        spent_at: UnixTime::from_secs(NOW - 5),
        iat: UnixTime::from_secs(NOW),
    }
}

fn verdict(jws: &str) -> Result<Receipt, VerifyError> {
    Receipt::from_jws(jws, &keys(), ISSUER, "chat").map(shared_claims::Verified::into_inner)
}

#[test]
fn what_was_signed_is_read_again() {
    assert_eq!(verdict(&key().sign_receipt(&receipt())), Ok(receipt()));
}

#[test]
fn receipt_of_another_issuer_app_or_key_is_refused() {
    let other = Receipt {
        iss: "https://other.example.com".into(),
        ..receipt()
    };
    assert_eq!(
        verdict(&key().sign_receipt(&other)),
        Err(VerifyError::WrongIssuer)
    );
    let other = Receipt {
        app_id: "images".into(),
        ..receipt()
    };
    assert_eq!(
        verdict(&key().sign_receipt(&other)),
        Err(VerifyError::WrongAudience)
    );
    let stranger = SigningKey::from_seed(&[8; 32]).expect("the seed is not zero");
    assert_eq!(
        verdict(&stranger.sign_receipt(&receipt())),
        Err(VerifyError::UnknownKey)
    );
}

#[test]
fn neither_an_access_token_nor_a_receipt_is_taken_for_the_other() {
    let keys = KeySet::from_public_keys([forge::key().verifying_key().to_bytes()]).expect("good");
    let verifier = Verifier::new(Policy::new(ISSUER, "chat"));
    let now = UnixTime::from_secs(NOW);
    // All that a receipt and a token say, under one header after the other.
    let claims = forge::claims()
        .with("aud", r#""chat""#)
        .with("amount", 10)
        .with("description", r#""work""#)
        .with("spentAt", NOW);
    let token = signed(forge::header().json(), claims.json());
    let header = forge::header().with("typ", r#""receipt+jwt""#);
    let receipt = signed(header.json(), claims.json());
    assert!(verifier.verify(&token, &keys, now).is_ok());
    assert!(Receipt::from_jws(&receipt, &keys, ISSUER, "chat").is_ok());
    assert_eq!(
        verifier.verify(&receipt, &keys, now),
        Err(VerifyError::UnsupportedType)
    );
    assert_eq!(
        Receipt::from_jws(&token, &keys, ISSUER, "chat"),
        Err(VerifyError::UnsupportedType)
    );
}

#[test]
fn receipt_with_a_member_missing_or_of_another_form_is_malformed() {
    let keys = KeySet::from_public_keys([forge::key().verifying_key().to_bytes()]).expect("good");
    let good = Members::new()
        .with("iss", quoted(ISSUER))
        .with("sub", r#""user-1""#)
        .with("aud", r#""chat""#)
        .with("jti", r#""3c1.7""#)
        .with("iat", NOW)
        .with("amount", 10)
        .with("description", r#""work""#)
        .with("spentAt", NOW);
    let header = forge::header().with("typ", r#""receipt+jwt""#).json();
    let verdict = |payload: &Members| {
        Receipt::from_jws(&signed(&header, payload.json()), &keys, ISSUER, "chat").map(|_| ())
    };
    assert_eq!(verdict(&good), Ok(()));
    let names = [
        "iss",
        "sub",
        "aud",
        "jti",
        "iat",
        "amount",
        "description",
        "spentAt",
    ];
    for name in names {
        let code = verdict(&good.clone().without(name)).map_err(VerifyError::code);
        assert_eq!(code, Err("malformed"), "without {name}");
        let code = verdict(&good.clone().with(name, "[]")).map_err(VerifyError::code);
        assert_eq!(code, Err("malformed"), "{name} a list");
    }
    for amount in ["0", "-1", "1.5", "1e3", "1000000000001", "\"10\""] {
        let code = verdict(&good.clone().with("amount", amount)).map_err(VerifyError::code);
        assert_eq!(code, Err("malformed"), "{amount} credits");
    }
}

#[test]
fn receipt_says_what_its_documentation_says() {
    let [header, payload, _] = segments(&key().sign_receipt(&receipt()));
    let text = |segment: &str| String::from_utf8(decode(segment)).expect("UTF-8");
    assert!(text(&header).contains(r#""typ":"receipt+jwt""#));
    let expected = format!(
        r#"{{"iss":"{ISSUER}","sub":"user-1","aud":"chat","jti":"3c1.7","iat":{NOW},"amount":1000000000000,"description":"one \"answer\"\u000a","spentAt":{}}}"#,
        NOW - 5
    );
    assert_eq!(text(&payload), expected);
}
