//! When the tables are made, when the library is asked, and what a contradiction leads to.

use alloc::vec::Vec;

use ed25519_compact::{KeyPair, Seed};

use super::fault::{Fault, plant};
use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);

/// A message and its signature.
type Signed = ([u8; 4], [u8; 64]);

/// A key, and so many messages signed by it, no two alike.
fn signed(n: u32) -> (VerifyingKey, Vec<Signed>) {
    let pair = KeyPair::from_seed(Seed::new([9; 32]));
    let key = VerifyingKey::from_bytes(&pair.pk).expect("it is a good key");
    let sign = |i: u32| {
        let message = i.to_le_bytes();
        (message, *pair.sk.sign(message, None))
    };
    (key, (0..n).map(sign).collect())
}

/// A kernel that has verified so many, of which tables have judged all but the first.
fn warm(key: &VerifyingKey, signed: &[Signed]) -> Kernel {
    let kernel = Kernel::default();
    for (message, signature) in signed {
        assert!(kernel.verify(key, message, signature, NOW));
    }
    kernel
}

#[test]
fn tables_are_made_when_the_key_has_signed_enough_and_not_before() {
    let (key, signed) = signed(TABLES_AFTER + 1);
    let (last, before) = signed.split_last().expect("there are several");
    let kernel = warm(&key, &before[1..]);
    assert!(key.prepared().equation.get().is_none());
    assert!(kernel.verify(&key, &before[0].0, &before[0].1, NOW));
    assert!(key.prepared().equation.get().is_some());
    assert_eq!(kernel.report().n_by_tables, 0);
    assert!(kernel.verify(&key, &last.0, &last.1, NOW));
    assert_eq!(kernel.report().n_by_tables, 1);
}

#[test]
fn forgeries_bring_no_key_closer_to_its_tables() {
    let (key, signed) = signed(1);
    let kernel = Kernel::default();
    for i in 0..10 * TABLES_AFTER {
        assert!(!kernel.verify(&key, &i.to_be_bytes(), &[1; 64], NOW));
    }
    assert!(kernel.verify(&key, &signed[0].0, &signed[0].1, NOW));
    assert!(key.prepared().equation.get().is_none());
}

#[test]
fn first_acceptances_and_one_in_256_after_are_confirmed() {
    let (key, signed) = signed(TABLES_AFTER + 2 * CONFIRMED_ONE_IN + 1);
    let kernel = warm(&key, &signed);
    let report = kernel.report();
    assert_eq!(report.n_by_tables, u64::from(2 * CONFIRMED_ONE_IN + 1));
    assert_eq!(report.n_confirmed, u64::from(CONFIRMED_FIRST) + 2);
    assert!(report.is_on);
}

#[test]
fn refusals_are_confirmed_until_the_budget_of_the_second_is_spent() {
    let (key, signed) = signed(TABLES_AFTER);
    let kernel = warm(&key, &signed);
    let refuse = |secs: u64| {
        let before = kernel.report().n_confirmed;
        for i in 0..2 * REFUSALS_A_SECOND {
            assert!(!kernel.verify(&key, &i.to_be_bytes(), &signed[0].1, NOW.plus_secs(secs)));
        }
        kernel.report().n_confirmed - before
    };
    assert_eq!(refuse(0), REFUSALS_A_SECOND);
    assert_eq!(refuse(0), 0);
    assert_eq!(refuse(1), REFUSALS_A_SECOND);
    assert_eq!(refuse(1000), REFUSALS_A_SECOND);
    // The clock was set back.
    assert_eq!(refuse(7), REFUSALS_A_SECOND);
    assert!(kernel.report().is_on);
}

#[test]
fn signature_of_the_wrong_length_is_refused_by_nobody_in_particular() {
    let (key, signed) = signed(TABLES_AFTER);
    let kernel = warm(&key, &signed);
    let (message, signature) = &signed[0];
    for n in [0, 32, 63] {
        assert!(!kernel.verify(&key, message, &signature[..n], NOW));
    }
    assert!(!kernel.verify(&key, message, &[&signature[..], &[0]].concat(), NOW));
    assert_eq!(kernel.report().n_by_tables, 0);
}

/// Whatever goes wrong in the arithmetic, the answer is the library's, and from then on it is
/// asked alone.
fn contradiction_is_found(fault: Fault, is_forged: bool) {
    let (key, signed) = signed(TABLES_AFTER + 2);
    let (before, last) = signed.split_at(TABLES_AFTER as usize);
    let kernel = warm(&key, before);
    let signature = &last[usize::from(is_forged)].1;
    plant(Some(fault));
    let verdict = kernel.verify(&key, &last[0].0, signature, NOW);
    let next = kernel.verify(&key, &last[1].0, &last[1].1, NOW);
    plant(None);
    assert_eq!(verdict, !is_forged, "{fault:?}");
    assert!(next, "{fault:?}");
    let report = kernel.report();
    assert_eq!((report.is_on, report.n_alarms), (false, 1), "{fault:?}");
    assert_eq!(report.n_by_tables, 1, "{fault:?}");
}

#[test]
fn contradiction_turns_the_kernel_off_and_the_library_decides() {
    contradiction_is_found(Fault::KeyLaneDropped, false);
    contradiction_is_found(Fault::BaseLaneDropped, false);
    contradiction_is_found(Fault::NothingCompared, true);
}

#[test]
fn tables_that_fail_their_canaries_are_not_used_and_raise_an_alarm() {
    assert!(Selected::base().is_some());
    let (key, signed) = signed(TABLES_AFTER + 1);
    let (last, before) = signed.split_last().expect("there are several");
    plant(Some(Fault::KeyLaneDropped));
    let kernel = warm(&key, before);
    plant(None);
    assert_eq!(kernel.report().n_alarms, 1);
    assert!(kernel.verify(&key, &last.0, &last.1, NOW));
    assert_eq!(kernel.report().n_by_tables, 0);
}

#[test]
fn alarm_of_one_verifier_is_seen_by_its_copies() {
    let kernel = Kernel::default();
    let copy = kernel.clone();
    kernel.contradicted(true);
    assert_eq!(copy.report().n_alarms, 1);
    assert!(!copy.report().is_on);
    assert!(Kernel::default().report().is_on);
}

#[test]
fn what_was_prepared_for_a_key_outlives_the_set_it_came_in() {
    let (key, signed) = signed(TABLES_AFTER + 1);
    let set = || crate::KeySet::from_public_keys([*key.as_bytes()]).expect("it is one key");
    let (first, mut second) = (set(), set());
    let key_of = |set: &crate::KeySet| set.get(&key.kid()).expect("it is there").clone();
    let kernel = warm(&key_of(&first), &signed[1..]);
    assert!(key_of(&second).prepared().equation.get().is_none());
    second.inherit(&first);
    assert!(kernel.verify(&key_of(&second), &signed[0].0, &signed[0].1, NOW));
    assert_eq!(kernel.report().n_by_tables, 1);
}
