//! The tables against the library, on signatures and on the equation alone.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::{Scalar, constants::ED25519_BASEPOINT_POINT};
use sha2::{Digest, Sha512};

use super::equation::{Equation, Outcome};
use super::table::Engine;
use crate::fuzz::Tally;
use crate::random::Random;
use crate::verify_signature;

/// A signature to judge.
#[derive(Clone, Debug)]
pub struct Case {
    /// The key, not always a good one.
    pub key: [u8; 32],
    /// What is signed.
    pub message: Vec<u8>,
    /// The signature, not always a good one.
    pub signature: [u8; 64],
}

/// Compares verdicts on `n_cases` signatures; the error is the first case on which they differ.
pub(super) fn signatures<E: Engine>(seed: u64, n_cases: usize) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.n_cases < n_cases {
        let cases = of_one_key(&mut random);
        let equation = Equation::<E>::new(&cases[0].key);
        for case in &cases {
            let expected = verify_signature(&case.key, &case.message, &case.signature);
            let found = equation
                .as_ref()
                .map(|equation| equation.check(&case.message, &case.signature));
            let agrees = match found {
                Some(outcome) => outcome == outcome_of(expected),
                None => !expected,
            };
            if !agrees {
                return Err(format!(
                    "{found:?}, the library says {expected}: {case:02x?}"
                ));
            }
            tally.count(expected);
        }
    }
    Ok(tally)
}

/// Compares sums for scalars and points with extreme digits and limbs.
pub(super) fn equations<E: Engine>(seed: u64, n_cases: usize) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    while tally.n_cases < n_cases {
        let key = odd_encoding(&mut random);
        let good = CompressedEdwardsY(key).decompress();
        let good = good.filter(|point| !point.is_small_order() && point.compress().0 == key);
        let Some(point) = good else {
            continue;
        };
        let Some(equation) = Equation::<E>::new(&key) else {
            return Err(format!("the tables of {key:02x?} failed"));
        };
        for _ in 0..N_OF_ONE_KEY {
            let [s, k] = [0, 1].map(|_| odd_scalar(&mut random));
            let [scalar_s, scalar_k] = [s, k].map(Scalar::from_bytes_mod_order);
            let sum = |k, s| EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &-point, s);
            let r = match random.below(4) {
                0 => sum(&Scalar::ZERO, &scalar_s),
                1 => sum(&scalar_k, &Scalar::ZERO),
                _ => sum(&scalar_k, &scalar_s),
            };
            let expected = r == sum(&scalar_k, &scalar_s);
            let found = equation.holds(&s, &k, &r.compress().0);
            if found != outcome_of(expected) {
                return Err(format!(
                    "{found:?}, the library says {expected}: key {key:02x?} s {s:02x?} k {k:02x?}"
                ));
            }
            tally.count(expected);
        }
    }
    Ok(tally)
}

/// Signatures by one key, good, bent and odd.
pub fn of_one_key(random: &mut Random) -> Vec<Case> {
    let signer = Signer::new(random);
    let mut cases: Vec<_> = (0..N_OF_ONE_KEY).map(|_| signer.sign(random)).collect();
    for case in cases.iter_mut().skip(N_OF_ONE_KEY / 3) {
        bend(random, case);
    }
    cases
}

/// A key whose secret is known, so that every kind of signature can be made.
struct Signer {
    secret: Scalar,
    point: EdwardsPoint,
}

impl Signer {
    /// One in four has a part of small order: such keys are good, and most of their signatures
    /// are not.
    fn new(random: &mut Random) -> Self {
        let secret = Scalar::from_bytes_mod_order(odd_scalar(random));
        let point = ED25519_BASEPOINT_POINT * secret;
        Self {
            secret,
            point: point + torsion(random),
        }
    }

    fn sign(&self, random: &mut Random) -> Case {
        let message: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
        let r = Scalar::from_bytes_mod_order(odd_scalar(random));
        let point = ED25519_BASEPOINT_POINT * r + torsion(random);
        let (key, point) = (self.point.compress().0, point.compress().0);
        let hash = Sha512::new().chain_update(point).chain_update(key);
        let hash = hash.chain_update(&message).finalize();
        let s = r + Scalar::from_bytes_mod_order_wide(&hash.into()) * self.secret;
        Case {
            key,
            message,
            signature: joined(&point, &s.to_bytes()),
        }
    }
}

fn bend(random: &mut Random, case: &mut Case) {
    let bit = 1 << random.below(8);
    let signature = &mut case.signature;
    let (r, s) = signature.split_at_mut(32);
    match random.below(9) {
        0 => r[random.below(32)] ^= bit,
        1 => s[random.below(32)] ^= bit,
        2 => r[31] ^= 0x80,
        3 => add_order(s),
        4 => r.copy_from_slice(&odd_encoding(random)),
        5 => s.copy_from_slice(&odd_scalar(random)),
        6 => s.copy_from_slice(random.pick(&[&ORDER, &[0; 32], &[0xff; 32]])),
        7 => case.message.push(random.byte()),
        // What a sum without the key's part would be.
        _ => {
            let scalar = Scalar::from_bytes_mod_order(s.try_into().unwrap_or_default());
            r.copy_from_slice(&(ED25519_BASEPOINT_POINT * scalar).compress().0);
        }
    }
}

/// A point of small order, three times in four the identity.
fn torsion(random: &mut Random) -> EdwardsPoint {
    EIGHT_TORSION[random.below(32).saturating_sub(24)]
}

/// Below 2^252, which is below L: random, or of digits where the recoding has its edges.
fn odd_scalar(random: &mut Random) -> [u8; 32] {
    let mut bytes = random.array();
    if random.below(2) == 0 {
        bytes = [0; 32];
        for place in 0..42 {
            let digit = u16::from(random.pick(&[&[0u8], &[1], &[31], &[32], &[33], &[63]])[0]);
            let [low, high] = (digit << (place * 6 % 8)).to_le_bytes();
            bytes[place * 6 / 8] |= low;
            if let Some(next) = bytes.get_mut(place * 6 / 8 + 1) {
                *next |= high;
            }
        }
    }
    bytes[31] &= 0x0f;
    bytes
}

/// Of a point or of none: random, of small order, with limbs at their edges, not canonical.
fn odd_encoding(random: &mut Random) -> [u8; 32] {
    match random.below(4) {
        0 => random.array(),
        1 => {
            let mut bytes = EIGHT_TORSION[random.below(8)].compress().0;
            bytes[31] ^= if random.below(2) == 0 { 0x80 } else { 0 };
            bytes
        }
        2 => {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xe0 | random.byte();
            bytes[31] = if random.below(2) == 0 { 0x7f } else { 0xff };
            bytes
        }
        _ => {
            let limbs: [u64; 5] = core::array::from_fn(|_| {
                let edge = [0, 1, (1 << 50) - 1, 1 << 50, (1 << 50) + 1, (1 << 51) - 1];
                edge[random.below(6)]
            });
            let mut bytes = super::field::Element::from_limbs(limbs).to_bytes();
            bytes[0] ^= random.byte() & 0x0f;
            bytes
        }
    }
}

fn outcome_of(verdict: bool) -> Outcome {
    if verdict {
        Outcome::Valid
    } else {
        Outcome::Invalid
    }
}

fn joined(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// `s` + L, which fits in 32 bytes.
fn add_order(scalar: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in scalar.iter_mut().zip(ORDER) {
        let [low, high] = (u16::from(*byte) + u16::from(order) + carry).to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

/// As many as make the tables worth their making.
const N_OF_ONE_KEY: usize = 60;

/// L of RFC 8032 §5.1, least significant byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fault::{Fault, plant};
    use crate::kernel::lanes::Lanes;
    use crate::kernel::plain::Plain;

    /// What runs with every change; `cargo xtask fuzz` goes on from here.
    const N_CASES: usize = 50_000;

    /// Software that fuses is slow: the lanes as they are shipped are compared in V8, as often as
    /// the plain arithmetic here.
    const N_CASES_IN_LANES: usize = 15_000;

    #[test]
    fn plain_verdicts_are_those_of_the_library() {
        let tally = signatures::<Plain>(81, N_CASES).expect("no difference");
        assert!(tally.n_accepted > N_CASES / 5, "{tally:?}");
    }

    #[test]
    fn plain_sums_are_those_of_the_library() {
        let tally = equations::<Plain>(82, N_CASES).expect("no difference");
        assert!(tally.n_accepted > N_CASES / 3, "{tally:?}");
    }

    #[test]
    fn verdicts_in_lanes_are_those_of_the_library() {
        let tally = signatures::<Lanes>(83, N_CASES_IN_LANES).expect("no difference");
        assert!(tally.n_accepted > N_CASES_IN_LANES / 5, "{tally:?}");
    }

    #[test]
    fn sums_in_lanes_are_those_of_the_library() {
        let tally = equations::<Lanes>(84, N_CASES_IN_LANES).expect("no difference");
        assert!(tally.n_accepted > N_CASES_IN_LANES / 3, "{tally:?}");
    }

    /// The tables are made before the fault is planted: those that are made with one fail
    /// their canaries already.
    fn finds<E: Engine>(fault: Fault) {
        assert!(E::base().is_some());
        let key = of_one_key(&mut Random::new(1))[0].key;
        plant(Some(fault));
        let is_made = Equation::<E>::new(&key).is_some();
        let differs = signatures::<E>(85, N_CASES).is_err();
        plant(None);
        assert!(differs, "{fault:?} passes");
        let fails_at_once = [Fault::PlainCarry, Fault::LaneCarry];
        assert!(
            !is_made || fails_at_once.contains(&fault),
            "{fault:?} is canned"
        );
    }

    #[test]
    fn planted_faults_of_the_plain_arithmetic_are_found() {
        finds::<Plain>(Fault::PlainCarry);
        finds::<Plain>(Fault::KeyLaneDropped);
        finds::<Plain>(Fault::BaseLaneDropped);
        finds::<Plain>(Fault::NothingCompared);
    }

    #[test]
    fn planted_faults_of_the_lanes_are_found() {
        finds::<Lanes>(Fault::LaneCarry);
        finds::<Lanes>(Fault::KeyLaneDropped);
        finds::<Lanes>(Fault::BaseLaneDropped);
        finds::<Lanes>(Fault::NothingCompared);
    }

    /// Without the canaries: what the comparison of verdicts alone finds, with tables that were
    /// made without the fault.
    #[test]
    fn faults_planted_after_the_tables_were_made_are_found() {
        for fault in [
            Fault::PlainCarry,
            Fault::KeyLaneDropped,
            Fault::BaseLaneDropped,
        ] {
            assert!(is_found_later::<Plain>(fault), "{fault:?}");
        }
        for fault in [
            Fault::LaneCarry,
            Fault::KeyLaneDropped,
            Fault::BaseLaneDropped,
        ] {
            assert!(is_found_later::<Lanes>(fault), "{fault:?}");
        }
    }

    fn is_found_later<E: Engine>(fault: Fault) -> bool {
        let mut random = Random::new(86);
        (0..N_CASES / N_OF_ONE_KEY).any(|_| {
            let cases = of_one_key(&mut random);
            let Some(equation) = Equation::<E>::new(&cases[0].key) else {
                return false;
            };
            plant(Some(fault));
            let differs = cases.iter().any(|case| {
                let expected = verify_signature(&case.key, &case.message, &case.signature);
                equation.check(&case.message, &case.signature) != outcome_of(expected)
            });
            plant(None);
            differs
        })
    }
}
