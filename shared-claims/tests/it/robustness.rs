//! No input panics, and none that was changed is accepted.

use shared_claims::{
    KeySet, Policy, RevocationDocument, Revocations, UnixTime, UnverifiedToken, Verifier,
};

use crate::forge::{self, AUDIENCE, ISSUER, NOW, jwk, key_set, other_jwk};
use crate::random::Random;
use crate::revocations;

#[test]
fn changed_tokens_are_refused() {
    let keys = KeySet::from_json(key_set(&[jwk()]).as_bytes()).expect("the key is good");
    let verifier = Verifier::new(Policy::new(ISSUER, AUDIENCE));
    let good = forge::plain();
    let mut random = Random::new(6);
    for _ in 0..N_CASES {
        let token = changed(&mut random, &good);
        let verdict = verifier.verify(&token, &keys, UnixTime::from_secs(NOW));
        assert!(verdict.is_err() || token == good, "{token}");
    }
}

/// Rightly signed whatever it contains, so that the bytes get past the signature.
#[test]
fn changed_payloads_and_headers_do_not_panic() {
    let keys = KeySet::from_json(key_set(&[jwk()]).as_bytes()).expect("the key is good");
    let verifier = Verifier::new(Policy::new(ISSUER, AUDIENCE));
    let (header, claims) = (forge::header().json(), forge::claims().json());
    let mut random = Random::new(7);
    for i in 0..N_CASES / 10 {
        let token = if i % 2 == 0 {
            forge::signed(changed_bytes(&mut random, header.as_bytes()), &claims)
        } else {
            forge::signed(&header, changed_bytes(&mut random, claims.as_bytes()))
        };
        if let Ok(claims) = verifier.verify(&token, &keys, UnixTime::from_secs(NOW)) {
            assert!(claims.iss == ISSUER && claims.aud == [AUDIENCE], "{token}");
            assert!(serde_json::from_str::<serde_json::Value>(claims.payload()).is_ok());
        }
    }
}

#[test]
fn changed_key_sets_have_no_foreign_key() {
    let good = key_set(&[jwk().with("use", r#""sig""#), other_jwk()]);
    let known: Vec<_> = KeySet::from_json(good.as_bytes())
        .expect("it is good")
        .kids()
        .collect();
    let mut random = Random::new(8);
    for _ in 0..N_CASES {
        let document = changed_bytes(&mut random, good.as_bytes());
        if let Ok(keys) = KeySet::from_json(&document) {
            assert!(keys.kids().all(|kid| known.contains(&kid)));
        }
    }
}

#[test]
fn changed_documents_are_refused() {
    let good = revocations::key().sign_revocations(&revocations::document());
    let keys = revocations::feed_keys();
    let now = UnixTime::from_secs(NOW);
    let held = Revocations::from_jws(&good, &keys, ISSUER, now).expect("it is good");
    let mut random = Random::new(9);
    for _ in 0..N_CASES {
        let jws = changed(&mut random, &good);
        let verdict = held.updated(&jws, &keys, ISSUER, now);
        assert!(verdict.is_err() || jws == good, "{jws}");
        RevocationDocument::unverified_kid(&jws).ok();
    }
}

#[test]
fn noise_is_refused() {
    let keys = revocations::feed_keys();
    let mut random = Random::new(10);
    for _ in 0..N_CASES {
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
        assert!(KeySet::from_json(&bytes).is_err());
        let text: String = (0..random.below(300))
            .map(|_| symbol(&mut random))
            .collect();
        assert!(UnverifiedToken::parse(&text).is_err());
        let now = UnixTime::from_secs(random.bits());
        assert!(Revocations::from_jws(&text, &keys, ISSUER, now).is_err());
    }
}

fn changed(random: &mut Random, text: &str) -> String {
    let bytes = changed_bytes(random, text.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One to four bytes, dropped, doubled, replaced, swapped, or cut off.
fn changed_bytes(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let Some(last) = bytes.len().checked_sub(1) else {
            break;
        };
        let (at, other) = (random.below(last + 1), random.below(last + 1));
        match random.below(8) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, bytes[other]),
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.byte(),
            4 => bytes.swap(at, other),
            5 => bytes.truncate(at),
            6 => bytes.extend_from_within(at..),
            _ => bytes[at] = random.pick::<[u8]>(&[b"\"", b"{", b"}", b",", b"\\", b".", b"0"])[0],
        }
    }
    bytes
}

/// A character of tokens, more often than not.
fn symbol(random: &mut Random) -> char {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_..";
    match random.below(50) {
        0 => char::from(random.byte()),
        _ => char::from(ALPHABET[random.below(ALPHABET.len())]),
    }
}

/// Enough to reach every branch of the readers, in a few seconds.
const N_CASES: usize = 50_000;
