//! The verdict on one signature by tables: [s]B − [k]A must be R (RFC 8032 §5.1.7).

use curve25519_dalek::Scalar;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use sha2::{Digest, Sha512};

use super::fault::{self, Fault};
use super::point::{BASE, Point, is_of_small_order};
use super::scalar::{is_reduced, reduced};
use super::table::{Digits, Engine, Factor, Table};

/// What the tables say of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Valid,
    Invalid,
    /// The arithmetic contradicts itself: this says nothing about the signature.
    Fault,
}

/// A key with the multiples of its negative.
pub(super) struct Equation<E: Engine> {
    key: [u8; 32],
    base: &'static Table<E>,
    table: Table<E>,
}

impl<E: Engine> Equation<E> {
    /// `None` when the tables cannot be trusted, or `key` is none.
    pub(super) fn new(key: &[u8; 32]) -> Option<Self> {
        let equation = Self {
            key: *key,
            base: E::base()?,
            table: Table::new(&Point::from_bytes(key)?.negated())?,
        };
        equation.passes_canaries().then_some(equation)
    }

    /// By the rule of [`verify_signature`](crate::verify_signature), for a key that has been
    /// found to be good.
    pub(super) fn check(&self, message: &[u8], signature: &[u8; 64]) -> Outcome {
        let (r, s) = signature.split_at(32);
        let (Ok(r), Ok(s)) = (r.try_into(), s.try_into()) else {
            return Outcome::Invalid;
        };
        if is_of_small_order(r) || !is_reduced(&s) {
            return Outcome::Invalid;
        }
        let hash = Sha512::new().chain_update(r).chain_update(self.key);
        let hash = hash.chain_update(message).finalize();
        self.holds(&s, &reduced(&hash.into()), r)
    }

    /// Whether [s]B − [k]A is encoded as `r`. The encoding of a sum is canonical, so that an `r`
    /// that is not never equals one.
    pub(super) fn holds(&self, s: &[u8; 32], k: &[u8; 32], r: &[u8; 32]) -> Outcome {
        let [s, k] = [Digits::new(s), Digits::new(k)];
        let base = Factor {
            table: self.base,
            digits: &s,
        };
        let key = Factor {
            table: &self.table,
            digits: &k,
        };
        match E::encoded_sum(base, key) {
            Err(_) => Outcome::Fault,
            Ok(sum) if sum == *r || fault::is_planted(Fault::NothingCompared) => Outcome::Valid,
            Ok(_) => Outcome::Invalid,
        }
    }

    /// Equations whose truth the library knows. The false ones are those that hold when one of
    /// the two products is left out: what a dropped lane would accept.
    fn passes_canaries(&self) -> bool {
        let Some(key) = CompressedEdwardsY(self.key).decompress() else {
            return false;
        };
        CANARIES.iter().all(|[s, k]| {
            let [s, k] = [s, k].map(|bytes| Scalar::from_bytes_mod_order(*bytes));
            let sum = |k: &Scalar, s: &Scalar| {
                let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &-key, s);
                sum.compress().to_bytes()
            };
            let holds = |r: [u8; 32]| self.holds(&s.to_bytes(), &k.to_bytes(), &r);
            holds(sum(&k, &s)) == Outcome::Valid
                && holds(sum(&k, &Scalar::ZERO)) == Outcome::Invalid
                && holds(sum(&Scalar::ZERO, &s)) == Outcome::Invalid
        })
    }
}

/// The multiples of the base point; `None` when this machine does not compute as the engine
/// needs it.
pub(super) fn base_table<E: Engine>() -> Option<Table<E>> {
    if E::works() {
        Table::new(&Point::from_bytes(&BASE)?)
    } else {
        None
    }
}

/// Factors of B and of A. With the first pair every digit differs from zero and both signs
/// occur in both lanes; the second has the smallest and the largest scalar there are.
const CANARIES: [[[u8; 32]; 2]; 2] = [
    [[0xa7; 32], [0x5b; 32]],
    [
        [
            1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0,
        ],
        [
            0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ],
    ],
];
