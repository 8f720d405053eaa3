//! Multiples of a fixed point, so that multiplying it takes additions only.
//!
//! A scalar is written with 37 signed digits of 7 bits. For every place i there are the points
//! j · 2^(7i) · P for j from 1 to 64; negative ones are these with x negated, and a digit that
//! is zero adds nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::point::{NoPoint, Point};

/// How points are kept and added up.
pub(super) trait Engine: Sized + 'static {
    /// A point of a table.
    type Entry: Copy + Send + Sync;

    /// The multiples of the base point, made when they are first needed. `None` when the machine
    /// does not compute as the engine needs it.
    fn base() -> Option<&'static Table<Self>>;

    /// The multiples of each point, one after the other. `None` when the arithmetic goes wrong.
    fn multiples(points: &[Point; N_PLACES]) -> Option<Vec<Self::Entry>>;

    /// The encoding of the sum of what the digits of `base` and those of `key` stand for.
    fn encoded_sum(base: Factor<'_, Self>, key: Factor<'_, Self>) -> Result<[u8; 32], NoPoint>;

    /// Whether the machine computes as the engine needs it.
    fn works() -> bool;
}

/// All multiples of one point.
pub(super) struct Table<E: Engine>(Box<[E::Entry]>);

/// A scalar and the point it multiplies.
pub(super) struct Factor<'a, E: Engine> {
    pub(super) table: &'a Table<E>,
    pub(super) digits: &'a Digits,
}

/// A scalar, lowest place first, each digit in −63..=64.
pub(super) struct Digits(pub(super) [i8; N_PLACES]);

impl<E: Engine> Table<E> {
    /// `None` when the arithmetic goes wrong.
    pub(super) fn new(point: &Point) -> Option<Self> {
        let mut points = [*point; N_PLACES];
        for i in 1..N_PLACES {
            points[i] = (0..WINDOW).fold(points[i - 1], |point, _| point.plus(&point.to_addend()));
        }
        Some(Self(E::multiples(&points)?.into_boxed_slice()))
    }

    /// The entry of a digit that is not zero, without its sign.
    #[inline]
    pub(super) fn entry(&self, place: usize, digit: i8) -> &E::Entry {
        &self.0[place * N_MULTIPLES + usize::from(digit.unsigned_abs()) - 1]
    }
}

impl Digits {
    /// Of a scalar below 2^253.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "a digit is small"
    )]
    pub(super) fn new(scalar: &[u8; 32]) -> Self {
        debug_assert!(scalar[31] < 0x20);
        let (mut digits, mut carry) = ([0; N_PLACES], 0);
        for (place, digit) in digits.iter_mut().enumerate() {
            let (at, shift) = (place * WINDOW / 8, place * WINDOW % 8);
            let above = scalar.get(at + 1).copied().unwrap_or(0);
            let bits = u16::from_le_bytes([scalar[at], above]) >> shift;
            let value = (bits & LOW) as i16 + carry;
            carry = i16::from(value > N_MULTIPLES as i16);
            *digit = (value - (carry << WINDOW)) as i8;
        }
        debug_assert!(carry == 0);
        Self(digits)
    }
}

/// Bits of a digit. One more would save ten terms of 74, and costs more than that: two tables of
/// 0.5 MB do not stay in a processor's cache beside anything else.
const WINDOW: usize = 7;
/// 259 bits: those of a scalar, and one for the carry.
pub(super) const N_PLACES: usize = 37;
pub(super) const N_MULTIPLES: usize = 1 << (WINDOW - 1);
const LOW: u16 = (1 << WINDOW) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn digits_make_up_the_scalar() {
        let mut random = Random::new(61);
        let mut scalars = [[0u8; 32]; 300];
        for scalar in &mut scalars[3..] {
            *scalar = random.array();
            scalar[31] &= 0x1f;
        }
        scalars[0] = [0xff; 32];
        scalars[0][31] = 0x1f;
        scalars[1][0] = 0x21;
        for scalar in scalars {
            let digits = Digits::new(&scalar);
            let mut sum = [0i32; 33];
            for (place, digit) in digits.0.into_iter().enumerate() {
                assert!((-63..=64).contains(&digit));
                let at = place * WINDOW;
                sum[at / 8] += i32::from(digit) << (at % 8);
            }
            let mut carry = 0;
            let bytes = sum.map(|part| {
                let total = part + carry;
                carry = total >> 8;
                total.to_le_bytes()[0]
            });
            assert_eq!((&bytes[..32], carry), (&scalar[..], 0));
        }
    }
}
