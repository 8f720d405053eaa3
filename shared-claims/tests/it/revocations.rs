//! Revocation documents: what is accepted, in which order, and what they refuse.

use shared_claims::sign::SigningKey;
use shared_claims::{
    AccessClaims, KeySet, Kid, Policy, Prefix, RevocationDocument, RevocationError, Revocations,
    UnixTime, Verified, Verifier, VerifyError, hash_prefix, limits,
};

use crate::forge::{self, Members, NOW, encode, quoted, signed_by};
use crate::random::Random;

#[test]
fn document_comes_back_as_it_was_signed() {
    let document = RevocationDocument {
        deny_kids: vec![kid('A'), kid('B')],
        sids: vec![*b"aaaaaaaa", *b"bbbbbbbb"],
        subs: vec![(*b"aaaaaaaa", 7), (*b"zzzzzzzz", u32::MAX)],
        reject_before: Some(UnixTime::from_secs(5)),
        ..document()
    };
    let held = first(&key().sign_revocations(&document)).expect("it is good");
    assert_eq!((held.epoch(), held.seq(), held.len()), (1, 10, 6));
    assert_eq!(held.as_of(), UnixTime::from_secs(NOW));
    assert_eq!(held.age_secs(UnixTime::from_secs(NOW + 9)), 9);
    assert!(
        first(&key().sign_revocations(&self::document()))
            .expect("it is good")
            .is_empty()
    );
}

#[test]
fn lists_are_sorted_and_repetitions_merged_when_signed() {
    let document = RevocationDocument {
        deny_kids: vec![kid('B'), kid('A'), kid('B')],
        sids: vec![*b"bbbbbbbb", *b"aaaaaaaa", *b"bbbbbbbb"],
        subs: vec![
            (*b"zzzzzzzz", 1),
            (*b"aaaaaaaa", 7),
            (*b"zzzzzzzz", 3),
            (*b"zzzzzzzz", 2),
        ],
        ..document()
    };
    let held = first(&key().sign_revocations(&document)).expect("it is good");
    assert_eq!(held.len(), 6);
}

#[test]
fn of_two_cut_offs_the_later_counts() {
    let user = |secs| (hash_prefix("user"), secs);
    let refuses = |held: &Revocations, iat| {
        let iat = UnixTime::from_secs(iat);
        held.check_parts(&kid('A'), "user", "session", iat).is_err()
    };
    let signed = RevocationDocument {
        subs: vec![user(5), user(9), user(7)],
        ..document()
    };
    let held = holding(&signed);
    assert!(refuses(&held, 8) && !refuses(&held, 9));
    for (secs, refused) in [(6, 8), (20, 19)] {
        let delta = RevocationDocument {
            subs: vec![user(secs)],
            base: Some(10),
            ..document()
        };
        let next = update(&held, &delta).expect("it continues");
        assert!(
            refuses(&next, refused) && !refuses(&next, refused + 1),
            "{secs}"
        );
    }
}

#[test]
fn tokens_of_a_denied_key_are_refused() {
    let token = token(&claims());
    let held = holding(&RevocationDocument {
        deny_kids: vec![*token.kid()],
        ..document()
    });
    assert_eq!(held.check(&token), Err(VerifyError::Revoked));
    let held = holding(&RevocationDocument {
        deny_kids: vec![kid('A')],
        ..document()
    });
    assert_eq!(held.check(&token), Ok(()));
}

#[test]
fn tokens_of_a_revoked_session_are_refused() {
    let sid = |sid: &str| {
        holding(&RevocationDocument {
            sids: vec![hash_prefix(sid)],
            ..document()
        })
    };
    let token = token(&claims());
    assert_eq!(sid("session-1").check(&token), Err(VerifyError::Revoked));
    assert_eq!(sid("session-2").check(&token), Ok(()));
    assert_eq!(sid("user-1").check(&token), Ok(()), "a session is no user");
}

#[test]
fn tokens_of_a_user_are_refused_when_issued_before_the_cut_off() {
    let token = token(&claims());
    let iat = u32::try_from(token.iat.as_secs()).expect("before 2106");
    let cut_off = |secs| {
        holding(&RevocationDocument {
            subs: vec![(hash_prefix("user-1"), secs)],
            ..document()
        })
    };
    assert_eq!(cut_off(iat + 1).check(&token), Err(VerifyError::Revoked));
    assert_eq!(cut_off(iat).check(&token), Ok(()));
    assert_eq!(cut_off(u32::MAX).check(&token), Err(VerifyError::Revoked));
    assert_eq!(cut_off(0).check(&token), Ok(()));
}

#[test]
fn all_tokens_issued_before_an_instant_are_refused() {
    let token = token(&claims());
    let before = |secs| {
        holding(&RevocationDocument {
            reject_before: Some(UnixTime::from_secs(secs)),
            ..document()
        })
    };
    let iat = token.iat.as_secs();
    assert_eq!(before(iat + 1).check(&token), Err(VerifyError::Revoked));
    assert_eq!(before(iat).check(&token), Ok(()));
}

#[test]
fn every_entry_of_a_full_list_is_found_and_nothing_else() {
    let listed: Vec<String> = (0..4_000).map(|i| format!("session-{i}")).collect();
    let users: Vec<String> = (0..6_000).map(|i| format!("user-{i}")).collect();
    let held = holding(&RevocationDocument {
        sids: listed.iter().map(|sid| hash_prefix(sid)).collect(),
        subs: users.iter().map(|sub| (hash_prefix(sub), 100)).collect(),
        ..document()
    });
    assert_eq!(held.len(), limits::MAX_FEED_ENTRIES);
    let check =
        |sub: &str, sid: &str, iat| held.check_parts(&kid('A'), sub, sid, UnixTime::from_secs(iat));
    for sid in &listed {
        assert!(check("nobody", sid, 100).is_err());
        assert!(check("nobody", &format!("{sid}x"), 100).is_ok());
    }
    for sub in &users {
        assert!(check(sub, "none", 99).is_err());
        assert!(check(sub, "none", 100).is_ok());
    }
}

#[test]
fn prefix_is_the_beginning_of_sha_256() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        hash_prefix("abc"),
        [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]
    );
}

#[test]
fn document_signed_otherwise_is_refused() {
    let good = payload().json();
    let jws = |error| Err(RevocationError::Jws(error));
    let signed_as = |key: &_, header: &str, payload: &str| {
        first(&signed_by(
            key,
            &format!("{}.{}", encode(header), encode(payload)),
        ))
        .map(drop)
    };
    let token_key = forge::key();
    let token_kid = header().with("kid", quoted(forge::KID)).json();
    assert_eq!(signed_as(&feed_key(), &header().json(), &good), Ok(()));
    assert_eq!(
        signed_as(&token_key, &header().json(), &good),
        jws(VerifyError::BadSignature)
    );
    assert_eq!(
        signed_as(&token_key, &token_kid, &good),
        jws(VerifyError::UnknownKey)
    );
    for (member, json, error) in [
        ("typ", r#""at+jwt""#, VerifyError::UnsupportedType),
        ("typ", r#""JWT""#, VerifyError::UnsupportedType),
        ("alg", r#""none""#, VerifyError::UnsupportedAlgorithm),
        ("alg", r#""HS256""#, VerifyError::UnsupportedAlgorithm),
        ("crit", "[]", VerifyError::CriticalHeader),
        ("jwk", "{}", VerifyError::CriticalHeader),
        ("kid", "null", VerifyError::MissingKeyId),
    ] {
        let header = header().with(member, json).json();
        assert_eq!(
            signed_as(&feed_key(), &header, &good),
            jws(error),
            "{member}: {json}"
        );
    }
    assert_eq!(
        first("").map(drop),
        jws(VerifyError::Malformed(shared_claims::Part::Segments))
    );
    assert_eq!(
        signed_as(&feed_key(), &header().json(), "[]"),
        jws(VerifyError::Malformed(shared_claims::Part::Payload))
    );
}

#[test]
fn feed_key_verifies_no_token_and_document_is_no_token() {
    let text = format!(
        "{}.{}",
        encode(forge::header().json()),
        encode(forge::claims().json())
    );
    let verifier = Verifier::new(Policy::new(forge::ISSUER, forge::AUDIENCE));
    let now = UnixTime::from_secs(NOW);
    let code = |token: &str, keys: &KeySet| {
        verifier
            .verify(token, keys, now)
            .map_err(VerifyError::code)
            .err()
    };
    assert_eq!(
        code(&signed_by(&feed_key(), &text), &token_keys()),
        Some("bad_signature")
    );
    let document = key().sign_revocations(&document());
    assert_eq!(code(&document, &token_keys()), Some("unsupported_type"));
    assert_eq!(code(&document, &feed_keys()), Some("unsupported_type"));
}

#[test]
fn document_of_the_wrong_form_is_refused() {
    let kids = format!("[{}]", quoted(&"A".repeat(42)));
    for (member, json) in [
        ("v", "\"1\""),
        ("iss", "1"),
        ("epoch", "-1"),
        ("epoch", "1.0"),
        ("seq", "null"),
        ("asOf", "\"2026-11-18\""),
        ("iat", "true"),
        ("exp", "1e9"),
        ("denyKids", "{}"),
        ("denyKids", "[1]"),
        ("denyKids", &kids),
        ("sids", "[]"),
        ("sids", &quoted(&encode([0; 7]))),
        ("sids", &quoted(&encode([0; 9]))),
        ("sids", &quoted("AAAAAAAAAAA=")),
        ("sids", &quoted("AAAAAAAAAAB")),
        ("sids", &quoted(&encode(b"bbbbbbbbaaaaaaaa"))),
        ("sids", &quoted(&encode(b"aaaaaaaaaaaaaaaa"))),
        ("subs", &quoted(&encode([0; 8]))),
        ("subs", &quoted(&encode([0; 13]))),
        ("subs", &quoted(&encode(b"bbbbbbbb0000aaaaaaaa0000"))),
        ("subs", &quoted(&encode(b"aaaaaaaa0000aaaaaaaa0001"))),
        ("rejectBefore", "null"),
        ("rejectBefore", "-1"),
        ("base", "\"1\""),
    ] {
        let error = first(&signed(&payload().with(member, json)));
        assert_eq!(error, Err(RevocationError::Malformed), "{member}: {json}");
    }
    for member in [
        "v", "iss", "epoch", "seq", "asOf", "iat", "exp", "denyKids", "sids", "subs",
    ] {
        let error = first(&signed(&payload().without(member)));
        assert_eq!(error, Err(RevocationError::Malformed), "without {member}");
    }
    assert!(
        first(&signed(&payload().with("added", "[1]"))).is_ok(),
        "new members are allowed"
    );
}

#[test]
fn document_of_another_version_or_issuer_is_refused() {
    let error = |member, json: &str| first(&signed(&payload().with(member, json))).err();
    assert_eq!(error("v", "2"), Some(RevocationError::UnsupportedVersion));
    assert_eq!(error("v", "0"), Some(RevocationError::UnsupportedVersion));
    assert_eq!(
        error("iss", r#""https://id.example.com/""#),
        Some(RevocationError::WrongIssuer)
    );
}

#[test]
fn document_is_of_its_time_or_refused() {
    let jws = key().sign_revocations(&document());
    let at = |secs| {
        Revocations::from_jws(&jws, &feed_keys(), forge::ISSUER, UnixTime::from_secs(secs)).err()
    };
    assert_eq!(at(NOW - 31), Some(RevocationError::FromFuture));
    assert_eq!(at(NOW - 30), None);
    assert_eq!(at(NOW + 89), None);
    assert_eq!(at(NOW + 90), Some(RevocationError::Expired));
    let long = payload().with("exp", NOW + 61);
    assert_eq!(first(&signed(&long)), Err(RevocationError::FromFuture));
}

#[test]
fn document_beyond_its_size_is_refused() {
    let prefixes = |n: u64| (0..n).map(u64::to_be_bytes).collect::<Vec<Prefix>>();
    let sids = |n| {
        key().sign_revocations(&RevocationDocument {
            sids: prefixes(n),
            ..document()
        })
    };
    assert!(first(&sids(10_000)).is_ok());
    assert_eq!(first(&sids(10_001)), Err(RevocationError::TooLarge));
    let subs = prefixes(10_000)
        .into_iter()
        .map(|prefix| (prefix, u32::MAX))
        .collect();
    let largest = key().sign_revocations(&RevocationDocument { subs, ..document() });
    assert!(largest.len() <= limits::MAX_FEED_BYTES && first(&largest).is_ok());
    let padded = |n: usize| signed(&payload().with("pad", quoted(&"x".repeat(n))));
    assert!(first(&padded(190_000)).is_ok());
    assert_eq!(first(&padded(200_000)), Err(RevocationError::TooLarge));
    for (bytes, is_too_large) in [
        (limits::MAX_FEED_BYTES, false),
        (limits::MAX_FEED_BYTES + 1, true),
    ] {
        let text = "A".repeat(bytes);
        let too_large = |error| (error == RevocationError::TooLarge) == is_too_large;
        assert!(RevocationDocument::unverified_kid(&text).is_err_and(too_large));
        assert!(first(&text).is_err_and(too_large));
    }
}

#[test]
fn kid_is_read_before_anything_is_verified() {
    let jws = key().sign_revocations(&document());
    assert_eq!(RevocationDocument::unverified_kid(&jws), Ok(*key().kid()));
    let token = forge::plain();
    let error = RevocationError::Jws(VerifyError::UnsupportedType);
    assert_eq!(RevocationDocument::unverified_kid(&token), Err(error));
}

#[test]
fn later_document_replaces_the_one_held() {
    let held = holding(&RevocationDocument {
        sids: vec![*b"aaaaaaaa"],
        ..document()
    });
    for (epoch, seq, as_of) in [
        (1, 10, NOW),
        (1, 10, NOW + 1),
        (1, 11, NOW),
        (2, 0, NOW),
        (2, 0, NOW + 5),
    ] {
        let next = next(&held, epoch, seq, as_of, None).expect("it is later");
        assert_eq!(
            (next.epoch(), next.seq(), next.as_of().as_secs()),
            (epoch, seq, as_of)
        );
        assert!(
            next.is_empty(),
            "a full document forgets what it does not list"
        );
    }
}

#[test]
fn earlier_document_is_refused() {
    let held = holding(&document());
    for (epoch, seq, as_of) in [
        (1, 9, NOW),
        (1, 9, NOW + 5),
        (0, 99, NOW),
        (1, 10, NOW - 1),
        (1, 11, NOW - 1),
        (2, 0, NOW - 1),
    ] {
        let next = next(&held, epoch, seq, as_of, None);
        assert_eq!(next, Err(RevocationError::Older), "{epoch} {seq} {as_of}");
    }
}

#[test]
fn delta_continues_what_is_held() {
    let held = holding(&RevocationDocument {
        deny_kids: vec![kid('A')],
        sids: vec![*b"bbbbbbbb"],
        subs: vec![(*b"aaaaaaaa", 5), (*b"cccccccc", 9)],
        reject_before: Some(UnixTime::from_secs(7)),
        ..document()
    });
    let delta = RevocationDocument {
        seq: 12,
        as_of: UnixTime::from_secs(NOW + 1),
        deny_kids: vec![kid('B')],
        sids: vec![*b"aaaaaaaa", *b"bbbbbbbb"],
        subs: vec![(*b"aaaaaaaa", 8), (*b"bbbbbbbb", 1), (*b"cccccccc", 3)],
        base: Some(10),
        ..document()
    };
    let next = update(&held, &delta).expect("it continues");
    assert_eq!(
        (next.seq(), next.as_of().as_secs(), next.len()),
        (12, NOW + 1, 2 + 2 + 3)
    );
    let after = RevocationDocument {
        seq: 12,
        base: Some(12),
        as_of: delta.as_of,
        ..document()
    };
    let same = update(&next, &after).expect("a delta may be empty");
    assert_eq!(same, next);
}

#[test]
fn delta_lengthens_the_reach_and_never_shortens_it() {
    let before = |secs| Some(UnixTime::from_secs(secs));
    let held = holding(&RevocationDocument {
        reject_before: before(100),
        ..document()
    });
    let refuses = |held: &Revocations, iat| {
        held.check_parts(&kid('A'), "user", "session", UnixTime::from_secs(iat))
            .is_err()
    };
    for (reject_before, refused, passed) in [
        (None, 99, 100),
        (before(50), 99, 100),
        (before(200), 199, 200),
    ] {
        let delta = RevocationDocument {
            seq: 11,
            base: Some(10),
            reject_before,
            ..document()
        };
        let next = update(&held, &delta).expect("it continues");
        assert!(
            refuses(&next, refused) && !refuses(&next, passed),
            "{reject_before:?}"
        );
    }
}

#[test]
fn delta_that_does_not_continue_is_refused() {
    let held = holding(&document());
    for (epoch, seq, base) in [
        (1, 12, 9),
        (1, 12, 11),
        (1, 12, 12),
        (2, 12, 10),
        (1, 10, 0),
    ] {
        let error = next(&held, epoch, seq, NOW + 1, Some(base));
        assert_eq!(
            error,
            Err(RevocationError::WrongBase),
            "{epoch} {seq} {base}"
        );
    }
    let delta = RevocationDocument {
        base: Some(0),
        ..document()
    };
    assert_eq!(
        first(&key().sign_revocations(&delta)),
        Err(RevocationError::WrongBase)
    );
}

#[test]
fn deltas_that_grow_beyond_the_bound_are_refused() {
    let prefixes = |from: u64, to: u64| (from..to).map(u64::to_be_bytes).collect::<Vec<Prefix>>();
    let held = holding(&RevocationDocument {
        sids: prefixes(0, 9_999),
        ..document()
    });
    let delta = |n| RevocationDocument {
        seq: 11,
        base: Some(10),
        sids: prefixes(9_998, n),
        ..document()
    };
    assert_eq!(
        update(&held, &delta(10_000)).map(|next| next.len()),
        Ok(10_000)
    );
    assert_eq!(
        update(&held, &delta(10_001)),
        Err(RevocationError::TooLarge)
    );
}

/// Deltas in any number and order of entries refuse what a plain list of all of them does.
#[test]
fn deltas_add_up_to_what_a_plain_list_says() {
    let mut random = Random::new(11);
    let mut held = holding(&document());
    let mut listed: Vec<(String, Option<u32>)> = Vec::new();
    for seq in 11..60 {
        let mut delta = RevocationDocument {
            seq,
            base: Some(seq - 1),
            ..document()
        };
        for _ in 0..random.below(6) {
            let id = random.below(40).to_string();
            let cut_off = u32::try_from(random.below(100)).unwrap();
            if random.below(2) == 0 {
                delta.sids.push(hash_prefix(&id));
                listed.push((id, None));
            } else {
                delta.subs.push((hash_prefix(&id), cut_off));
                listed.push((id, Some(cut_off)));
            }
        }
        held = update(&held, &delta).expect("it continues");
        for id in (0..40).map(|id: u32| id.to_string()) {
            let iat = u32::try_from(random.below(100)).unwrap();
            let by_sid = listed.contains(&(id.clone(), None));
            let by_sub = listed
                .iter()
                .any(|(sub, cut)| *sub == id && cut.is_some_and(|cut| iat < cut));
            let at = UnixTime::from_secs(u64::from(iat));
            assert_eq!(
                held.check_parts(&kid('A'), "x", &id, at).is_err(),
                by_sid,
                "session {id}"
            );
            assert_eq!(
                held.check_parts(&kid('A'), &id, "x", at).is_err(),
                by_sub,
                "user {id} {iat}"
            );
        }
    }
}

#[test]
fn errors_say_what_is_wrong_without_quoting_the_input() {
    let error = first(&signed(
        &payload().with("iss", r#""https://attacker.example""#),
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the revocation document is of another issuer"
    );
    let error = first("x").unwrap_err().to_string();
    assert!(
        error.contains("malformed (the number of segments)"),
        "{error}"
    );
}

fn first(jws: &str) -> Result<Revocations, RevocationError> {
    Revocations::from_jws(jws, &feed_keys(), forge::ISSUER, UnixTime::from_secs(NOW))
}

fn holding(document: &RevocationDocument) -> Revocations {
    first(&key().sign_revocations(document)).expect("the document is good")
}

fn update(
    held: &Revocations,
    document: &RevocationDocument,
) -> Result<Revocations, RevocationError> {
    let jws = key().sign_revocations(document);
    held.updated(&jws, &feed_keys(), forge::ISSUER, UnixTime::from_secs(NOW))
}

fn next(
    held: &Revocations,
    epoch: u64,
    seq: u64,
    as_of: u64,
    base: Option<u64>,
) -> Result<Revocations, RevocationError> {
    let as_of = UnixTime::from_secs(as_of);
    update(
        held,
        &RevocationDocument {
            epoch,
            seq,
            as_of,
            base,
            ..document()
        },
    )
}

/// Nothing revoked.
pub fn document() -> RevocationDocument {
    RevocationDocument {
        iss: forge::ISSUER.to_owned(),
        epoch: 1,
        seq: 10,
        as_of: UnixTime::from_secs(NOW),
        iat: UnixTime::from_secs(NOW),
        deny_kids: Vec::new(),
        sids: Vec::new(),
        subs: Vec::new(),
        reject_before: None,
        base: None,
    }
}

/// The key of the feed.
pub fn key() -> SigningKey {
    SigningKey::from_seed(&FEED_SEED).expect("the seed is not zero")
}

pub fn feed_keys() -> KeySet {
    KeySet::from_public_keys([*key().public_key()]).expect("the key is good")
}

fn feed_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&FEED_SEED)
}

fn token_keys() -> KeySet {
    KeySet::from_json(forge::key_set(&[forge::jwk()]).as_bytes()).expect("the key is good")
}

fn header() -> Members {
    let header = forge::header().with("typ", r#""revocations+jwt""#);
    header.with("kid", quoted(key().kid().as_str()))
}

fn payload() -> Members {
    Members::new()
        .with("v", 1)
        .with("iss", quoted(forge::ISSUER))
        .with("epoch", 1)
        .with("seq", 10)
        .with("asOf", NOW)
        .with("iat", NOW)
        .with("exp", NOW + 60)
        .with("denyKids", "[]")
        .with("sids", r#""""#)
        .with("subs", r#""""#)
}

fn signed(payload: &Members) -> String {
    signed_by(
        &feed_key(),
        &format!("{}.{}", encode(header().json()), encode(payload.json())),
    )
}

fn claims() -> Members {
    forge::claims()
}

fn token(claims: &Members) -> Verified<AccessClaims> {
    let token = forge::signed(forge::header().json(), claims.json());
    let verifier = Verifier::new(Policy::new(forge::ISSUER, forge::AUDIENCE));
    verifier
        .verify(&token, &token_keys(), UnixTime::from_secs(NOW))
        .expect("the token is good")
}

fn kid(letter: char) -> Kid {
    Kid::parse(&letter.to_string().repeat(Kid::LEN)).expect("43 characters")
}

const FEED_SEED: [u8; 32] = [3; 32];
