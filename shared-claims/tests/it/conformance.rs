//! The conformance list: what a verifier must say to each of many tokens, key sets and
//! signatures. It is plain data in `tests/vectors`, made by the modules here out of public
//! sets and tables of our own, so that every host can run it.
//!
//! `UPDATE_VECTORS=1 cargo test -p shared-claims --test it list_in` writes the files anew.

mod key_sets;
mod signatures;
mod tokens;

use std::path::PathBuf;
use std::{env, fs};

use serde::Serialize;
use serde::de::DeserializeOwned;
pub use signatures::unhex;

use shared_claims::{
    KeySet, Leeway, Policy, SignatureTables, UnixTime, Verifier, VerifyError, verify_signature,
};

use crate::forge::{AUDIENCE, ISSUER, NOW, plain};

#[test]
fn list_in_repository_is_what_the_tables_make() {
    is_up_to_date("tokens.json", &tokens::all());
    is_up_to_date("key_sets.json", &key_sets::all());
    is_up_to_date("signatures.json", &signatures::all());
}

#[test]
fn every_token_gets_its_verdict() {
    let cases: Vec<tokens::Case> = load("tokens.json");
    let wrong: Vec<_> = cases
        .iter()
        .map(|case| (case, verdict(case)))
        .filter(|(case, got)| case.expected != *got)
        .map(|(case, got)| format!("{}: expected {}, got {got}", case.name, case.expected))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} tokens:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// The same when the key has signed so much that there are tables for it.
#[test]
fn every_token_gets_its_verdict_by_tables() {
    let good = plain();
    let mut n_by_tables = 0;
    for case in load::<Vec<tokens::Case>>("tokens.json") {
        let keys = KeySet::from_json(case.jwks.as_bytes()).expect("cases use readable key sets");
        let usual = Verifier::new(Policy::new(ISSUER, AUDIENCE));
        for _ in 0..17 {
            usual.verify(&good, &keys, UnixTime::from_secs(NOW)).ok();
        }
        let verifier = Verifier::new(policy_of(&case));
        let verdict = verifier.verify(&case.token, &keys, UnixTime::from_secs(case.now));
        let code = verdict.map_or_else(VerifyError::code, |_| "ok");
        assert_eq!(code, case.expected, "{}", case.name);
        assert_eq!(verifier.kernel().n_alarms, 0, "{}", case.name);
        n_by_tables += verifier.kernel().n_by_tables;
    }
    assert!(
        n_by_tables > 200,
        "only {n_by_tables} verdicts were by tables"
    );
}

#[test]
fn every_signature_gets_its_verdict_by_tables() {
    let mut n_by_tables = 0;
    for case in load::<Vec<signatures::Case>>("signatures.json") {
        let [key, message, signature] =
            [&case.public_key, &case.message, &case.signature].map(|hex| unhex(hex));
        let key = key.as_slice().try_into().ok();
        let Some(tables) = key.and_then(SignatureTables::new) else {
            assert!(!case.valid, "{}", case.name);
            continue;
        };
        let verdict = tables.verify(&message, &signature);
        assert_eq!(verdict, Some(case.valid), "{}", case.name);
        n_by_tables += 1;
    }
    assert!(
        n_by_tables > 100,
        "only {n_by_tables} verdicts were by tables"
    );
}

#[test]
fn every_key_set_gets_its_verdict() {
    for case in load::<Vec<key_sets::Case>>("key_sets.json") {
        let keys = KeySet::from_json(case.document.as_bytes());
        assert_eq!(
            keys.ok().map(|keys| keys.len()),
            case.usable_keys,
            "{}",
            case.name
        );
    }
}

#[test]
fn every_signature_gets_its_verdict() {
    for case in load::<Vec<signatures::Case>>("signatures.json") {
        let [key, message, signature] =
            [&case.public_key, &case.message, &case.signature].map(|hex| unhex(hex));
        assert_eq!(
            verify_signature(&key, &message, &signature),
            case.valid,
            "{}",
            case.name
        );
    }
}

#[test]
fn every_code_but_those_of_other_steps_is_in_the_list() {
    let cases: Vec<tokens::Case> = load("tokens.json");
    for code in CODES {
        assert!(
            cases.iter().any(|case| case.expected == code),
            "no token is {code}"
        );
    }
    assert!(cases.iter().filter(|case| case.expected != "ok").count() >= 60);
}

#[test]
fn names_are_unique() {
    let cases: Vec<tokens::Case> = load("tokens.json");
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort_unstable();
    assert_eq!(names.windows(2).find(|pair| pair[0] == pair[1]), None);
}

fn policy_of(case: &tokens::Case) -> Policy {
    Policy {
        leeway: Leeway::from_secs(case.policy.leeway).expect("cases use allowed leeways"),
        ..Policy::new(&*case.policy.issuer, &*case.policy.audience)
    }
}

fn verdict(case: &tokens::Case) -> &'static str {
    let keys = KeySet::from_json(case.jwks.as_bytes()).expect("cases use readable key sets");
    let now = UnixTime::from_secs(case.now);
    match Verifier::new(policy_of(case)).verify(&case.token, &keys, now) {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person asks for the rewrite this way"
)]
fn is_up_to_date<T: Serialize>(name: &str, cases: &[T]) {
    let lines: Vec<_> = cases
        .iter()
        .map(|case| serde_json::to_string(case).expect("cases are plain data"))
        .collect();
    let made = format!("[\n{}\n]\n", lines.join(",\n"));
    if env::var_os("UPDATE_VECTORS").is_some() {
        fs::write(path(name), made).expect("the folder is writable");
    } else {
        assert!(
            read(name) == made,
            "{name} differs: run again with UPDATE_VECTORS=1"
        );
    }
}

fn load<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&read(name)).expect("the list is well-formed")
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect("the list is in the repository")
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

/// All codes a token alone can be refused with.
const CODES: [&str; 16] = [
    "malformed",
    "too_large",
    "unsupported_algorithm",
    "unsupported_type",
    "critical_header",
    "missing_key_id",
    "unknown_key",
    "bad_signature",
    "missing_claim",
    "invalid_claim",
    "wrong_issuer",
    "wrong_audience",
    "expired",
    "not_yet_valid",
    "issued_in_future",
    "lifetime_too_long",
];
