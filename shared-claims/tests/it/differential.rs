//! The raw verdict against the reference, on signatures that are good, bent and odd.
//!
//! The reference is `verify_strict` of ed25519-dalek with one rule added: the key must be the
//! canonical encoding of its point. A faster kernel has to pass the same.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use shared_claims::verify_signature;

use crate::random::Random;

#[test]
fn verdict_is_the_reference_on_good_and_bent_signatures() {
    let mut random = Random::new(4);
    let mut n_accepted = 0;
    for i in 0..400 {
        let key = SigningKey::from_bytes(&random.array());
        let message: Vec<u8> = (0..random.below(600)).map(|_| random.byte()).collect();
        let signature = key.sign(&message).to_bytes();
        let public_key = key.verifying_key().to_bytes();
        assert!(
            agreed(&public_key, &message, &signature),
            "good signature {i}"
        );
        for _ in 0..5 {
            let (mut public_key, mut message, mut signature) =
                (public_key, message.clone(), signature);
            bend(&mut random, &mut public_key, &mut message, &mut signature);
            n_accepted += usize::from(agreed(&public_key, &message, &signature));
        }
    }
    assert_eq!(n_accepted, 0, "bent signatures");
}

#[test]
fn verdict_is_the_reference_on_odd_points() {
    let mut random = Random::new(5);
    let points = odd_points();
    for key in &points {
        for r in &points {
            for s in [[0; 32], scalar(1), ORDER, random.array()] {
                let signature: [u8; 64] = [*r, s].concat().try_into().expect("two halves");
                assert!(!agreed(key, &random.array::<8>(), &signature));
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let (public_key, signature) = (key.verifying_key().to_bytes(), key.sign(b"x").to_bytes());
    for n in 0..32 {
        assert!(!verify_signature(&public_key[..n], b"x", &signature));
    }
    for n in 0..64 {
        assert!(!verify_signature(&public_key, b"x", &signature[..n]));
    }
    assert!(!verify_signature(
        &[public_key, public_key].concat(),
        b"x",
        &signature
    ));
    assert!(!verify_signature(
        &public_key,
        b"x",
        &[&signature[..], &[0]].concat()
    ));
    assert!(verify_signature(&public_key, b"x", &signature));
}

/// The common verdict.
fn agreed(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let canonical = |key: &VerifyingKey| key.to_edwards().compress().to_bytes() == *public_key;
    let reference = VerifyingKey::from_bytes(public_key).is_ok_and(|key| {
        canonical(&key)
            && key
                .verify_strict(message, &Signature::from_bytes(signature))
                .is_ok()
    });
    let ours = verify_signature(public_key, message, signature);
    assert_eq!(
        ours, reference,
        "{public_key:02x?} {message:02x?} {signature:02x?}"
    );
    ours
}

fn bend(random: &mut Random, key: &mut [u8; 32], message: &mut Vec<u8>, signature: &mut [u8; 64]) {
    let bit = 1 << random.below(8);
    match random.below(6) {
        0 => key[random.below(32)] ^= bit,
        1 => message.push(random.byte()),
        2 => signature[random.below(64)] ^= bit,
        3 => signature[31] ^= 0x80,
        4 => add_order(&mut signature[32..]),
        _ => signature[..32].copy_from_slice(&odd_points()[random.below(14)]),
    }
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

/// The 14 encodings of points of small order, and every y in [p, 2²⁵⁵) with both signs.
fn odd_points() -> Vec<[u8; 32]> {
    let small = include_str!("../vectors/sources/cctv_low_order_encodings.json");
    let small: Vec<String> = serde_json::from_str(small).expect("a list of texts");
    let small = small.iter().map(|hex| crate::conformance::unhex(hex));
    let mut points: Vec<[u8; 32]> = small
        .map(|bytes| bytes.try_into().expect("32 bytes"))
        .collect();
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut point = [0xff; 32];
            (point[0], point[31]) = (low, high);
            points.push(point);
        }
    }
    points
}

fn scalar(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

/// L of RFC 8032 §5.1, least significant byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
