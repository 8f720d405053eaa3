//! Signing: what one library signs, another must verify.

use ed25519_dalek::Signer;
use shared_claims::sign::SigningKey;
use shared_claims::{AccessClaims, KeySet, Policy, UnixTime, Verifier};

use crate::forge::{self, AUDIENCE, ISSUER, NOW, decode, segments};
use crate::random::Random;

#[test]
fn token_has_the_agreed_header_and_payload() {
    let [header, payload, _] = segments(&key().sign_access_token(&claims()));
    assert_eq!(
        text(&header),
        format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, forge::KID)
    );
    let expected = format!(
        r#"{{"iss":"{ISSUER}","sub":"user-1","aud":"{AUDIENCE}","exp":{},"iat":{NOW},"jti":"token-1","sid":"session-1","email":"a@example.com","email_verified":true,"role":"user"}}"#,
        NOW + 900
    );
    assert_eq!(text(&payload), expected);
}

#[test]
fn document_has_the_agreed_header_and_payload() {
    let document = shared_claims::RevocationDocument {
        sids: vec![*b"\x00\x01\x02\x03\x04\x05\x06\x07"],
        subs: vec![(*b"\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 0x0102_0304)],
        base: Some(9),
        ..crate::revocations::document()
    };
    let [header, payload, _] = segments(&key().sign_revocations(&document));
    assert_eq!(
        text(&header),
        format!(
            r#"{{"alg":"EdDSA","typ":"revocations+jwt","kid":"{}"}}"#,
            forge::KID
        )
    );
    let expected = format!(
        r#"{{"v":1,"iss":"{ISSUER}","epoch":1,"seq":10,"asOf":{NOW},"iat":{NOW},"exp":{},"denyKids":[],"sids":"AAECAwQFBgc","subs":"CAkKCwwNDg8BAgME","base":9}}"#,
        NOW + 60
    );
    assert_eq!(text(&payload), expected);
}

#[test]
fn public_key_and_kid_are_those_of_rfc_8037() {
    assert_eq!(key().public_key().as_slice(), decode(forge::X));
    assert_eq!(key().kid().as_str(), forge::KID);
}

#[test]
fn signatures_are_those_of_another_library_and_strictly_valid() {
    let mut random = Random::new(3);
    for _ in 0..300 {
        let seed = random.array();
        let ours = SigningKey::from_seed(&seed).expect("the seed is not zero");
        let theirs = ed25519_dalek::SigningKey::from_bytes(&seed);
        assert_eq!(*ours.public_key(), theirs.verifying_key().to_bytes());
        let token = ours.sign_access_token(&AccessClaims {
            jti: random.bits().to_string(),
            ..claims()
        });
        let (message, signature) = token.rsplit_once('.').expect("three segments");
        let signature = decode(signature);
        assert_eq!(
            theirs.sign(message.as_bytes()).to_bytes().as_slice(),
            signature
        );
        let signature = signature.as_slice().try_into().expect("64 bytes");
        assert!(
            theirs
                .verifying_key()
                .verify_strict(message.as_bytes(), &signature)
                .is_ok()
        );
    }
}

#[test]
fn claims_come_back_whatever_characters_they_have() {
    let odd = [
        "\"\\/\u{0}\u{1f}\u{7f}",
        "\u{2028}\u{1f600}\u{10ffff}",
        "\r\n\t ,:{}[]",
        "\u{feff}",
        "\\u0041",
    ];
    for (i, text) in odd.iter().enumerate() {
        let claims = AccessClaims {
            sub: (*text).to_owned(),
            aud: vec![AUDIENCE.to_owned(), odd[(i + 1) % odd.len()].to_owned()],
            nbf: Some(UnixTime::from_secs(NOW)),
            email: Some(odd[(i + 2) % odd.len()].to_owned()),
            email_verified: Some(false),
            role: None,
            act: None,
            ..claims()
        };
        assert_eq!(verified(&key().sign_access_token(&claims)), claims);
    }
}

#[test]
fn actor_of_a_token_comes_back_and_one_of_another_form_changes_nothing() {
    let claims = AccessClaims {
        act: Some("admin-1".to_owned()),
        ..claims()
    };
    assert_eq!(verified(&key().sign_access_token(&claims)), claims);
    for act in [
        "null",
        "1",
        "\"admin-1\"",
        "{}",
        "{\"sub\":\"\"}",
        "{\"sub\":7}",
        "[]",
    ] {
        let payload = forge::claims().with("act", act);
        let token = forge::signed(forge::header().json(), payload.json());
        assert_eq!(verified(&token).act, None, "{act}");
    }
}

#[test]
fn token_of_a_usual_person_is_small() {
    let claims = AccessClaims {
        email: Some(format!("{}@{}.example", "x".repeat(64), "y".repeat(180))),
        sub: "x".repeat(64),
        jti: "x".repeat(64),
        sid: "x".repeat(64),
        ..claims()
    };
    assert!(key().sign_access_token(&claims).len() <= 1536);
}

#[test]
fn key_shows_its_name_and_nothing_else() {
    assert_eq!(
        format!("{:?}", key()),
        format!("SigningKey({})", forge::KID)
    );
}

#[test]
fn seed_nobody_has_filled_is_refused() {
    assert!(SigningKey::from_seed(&[0; 32]).is_none());
}

fn key() -> SigningKey {
    SigningKey::from_seed(&forge::key().to_bytes()).expect("the seed is not zero")
}

fn claims() -> AccessClaims {
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: "user-1".to_owned(),
        aud: vec![AUDIENCE.to_owned()],
        exp: UnixTime::from_secs(NOW + 900),
        nbf: None,
        iat: UnixTime::from_secs(NOW),
        jti: "token-1".to_owned(),
        sid: "session-1".to_owned(),
        email: Some("a@example.com".to_owned()),
        email_verified: Some(true),
        role: Some("user".to_owned()),
        act: None,
    }
}

fn verified(token: &str) -> AccessClaims {
    let keys = KeySet::from_public_keys([*key().public_key()]).expect("the key is good");
    let verifier = Verifier::new(Policy::new(ISSUER, AUDIENCE));
    let verdict = verifier.verify(token, &keys, UnixTime::from_secs(NOW));
    verdict.expect("the token is good").into_inner()
}

fn text(segment: &str) -> String {
    String::from_utf8(decode(segment)).expect("JSON is text")
}
