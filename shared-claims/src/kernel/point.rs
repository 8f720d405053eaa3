//! Points of edwards25519 (RFC 8032 §5.1): −x² + y² = 1 + d·x²·y².
//!
//! The formulas for adding are complete on this curve: they have no exceptions.

use super::field::Element;
#[cfg(any(test, feature = "fuzz", not(target_feature = "relaxed-simd")))]
use super::inverse::inverse;

/// In extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z. All four are tight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: Element,
    pub(super) y: Element,
    pub(super) z: Element,
    pub(super) t: Element,
}

/// What is added to points of any number: Y + X, Y − X, 2·Z and 2·d·T.
pub(super) struct Addend {
    y_plus_x: Element,
    y_minus_x: Element,
    z2: Element,
    t2d: Element,
}

/// Arithmetic has gone wrong: what it made is no point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoPoint;

impl Point {
    #[cfg(any(test, feature = "fuzz", not(target_feature = "relaxed-simd")))]
    pub(super) const IDENTITY: Self = Self {
        x: Element::ZERO,
        y: Element::ONE,
        z: Element::ONE,
        t: Element::ZERO,
    };

    /// The point `bytes` is the one encoding of; `None` when it is of none.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let y = Element::from_bytes(bytes);
        let square = y.squared();
        let numerator = square.minus(&Element::ONE);
        let denominator = square.times(&D).plus(&Element::ONE);
        let cube = denominator.squared().times(&denominator);
        let power = cube.squared().times(&denominator).times(&numerator);
        let root = numerator.times(&cube).times(&power.root_power());
        let roots = [root, root.times(&ROOT_OF_MINUS_ONE)];
        let is_root = |x: &Element| x.squared().times(&denominator).equals(&numerator);
        let x = roots.into_iter().find(is_root)?;
        let odd = bytes[31] >> 7 == 1;
        let x = if x.is_negative() == odd {
            x
        } else {
            x.negated()
        };
        let mut encoded = y.to_bytes();
        encoded[31] |= u8::from(x.is_negative()) << 7;
        (encoded == *bytes).then_some(Self {
            x,
            y,
            z: Element::ONE,
            t: x.times(&y),
        })
    }

    /// The encoding, once the point has been found to be on the curve and its coordinates to
    /// agree with each other: Z ≠ 0, X·Y = Z·T and −X² + Y² = Z² + d·T².
    #[cfg(any(test, feature = "fuzz", not(target_feature = "relaxed-simd")))]
    pub(super) fn to_bytes(self) -> Result<[u8; 32], NoPoint> {
        let Self { x, y, z, t } = self;
        let left = y.squared().minus(&x.squared());
        let right = z.squared().plus(&t.squared().times(&D));
        let inverse = inverse(&z);
        let is_sound = z.times(&inverse).equals(&Element::ONE)
            && x.times(&y).equals(&z.times(&t))
            && left.equals(&right);
        if !is_sound {
            return Err(NoPoint);
        }
        let mut bytes = y.times(&inverse).to_bytes();
        bytes[31] |= u8::from(x.times(&inverse).is_negative()) << 7;
        Ok(bytes)
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            x: self.x.negated(),
            t: self.t.negated(),
            ..*self
        }
    }

    pub(super) fn plus(&self, other: &Addend) -> Self {
        let a = self.y.minus(&self.x).times(&other.y_minus_x);
        let b = self.y.plus(&self.x).times(&other.y_plus_x);
        let c = self.t.times(&other.t2d);
        let d = self.z.times(&other.z2);
        let mut sum = *self;
        sum.set_from_halves(&a, &b, &d.minus(&c), &d.plus(&c));
        sum
    }

    /// The last step of every addition. In place: the compiler copies points by a call.
    #[inline]
    pub(super) fn set_from_halves(&mut self, a: &Element, b: &Element, f: &Element, g: &Element) {
        let (e, h) = (b.minus(a), b.plus(a));
        self.x = e.times(f);
        self.y = g.times(&h);
        self.z = f.times(g);
        self.t = e.times(&h);
    }

    pub(super) fn to_addend(self) -> Addend {
        Addend {
            y_plus_x: self.y.plus(&self.x),
            y_minus_x: self.y.minus(&self.x),
            z2: self.z.plus(&self.z),
            t2d: self.t.times(&D).times(&TWO),
        }
    }
}

/// The canonical encodings of the eight points of small order, without the bit of x: the
/// identity, the point of order 2, and y of those of order 4 and of order 8.
pub(super) fn is_of_small_order(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// RFC 8032 §5.1: −121665/121666.
pub(super) const D: Element = Element::from_bytes(&[
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
]);

const TWO: Element = Element::from_limbs([2, 0, 0, 0, 0]);

/// 2^((p − 1) / 4), RFC 8032 §5.1.3.
const ROOT_OF_MINUS_ONE: Element = Element::from_bytes(&[
    0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
    0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
]);

/// The base point, whose y is 4/5.
pub(super) const BASE: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

const SMALL_ORDER: [[u8; 32]; 5] = [
    with_ends(1, 0, 0),
    with_ends(0xec, 0xff, 0x7f),
    [0; 32],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::traits::IsIdentity;

    use super::*;
    use crate::random::Random;

    #[test]
    fn points_are_read_as_the_library_reads_them() {
        let mut random = Random::new(51);
        let mut n_points = 0;
        for _ in 0..2_000 {
            let bytes = random.array();
            let theirs = CompressedEdwardsY(bytes).decompress();
            let ours = Point::from_bytes(&bytes);
            // Theirs also takes y that is not reduced, which is never drawn by chance.
            assert_eq!(ours.is_some(), theirs.is_some(), "{bytes:02x?}");
            n_points += usize::from(ours.is_some_and(|point| point.to_bytes() == Ok(bytes)));
        }
        assert!(n_points > 800, "{n_points} of them were points");
    }

    #[test]
    fn encodings_that_are_not_canonical_are_of_no_point() {
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                assert!(Point::from_bytes(&with_ends(low, 0xff, high)).is_none());
            }
        }
        // x = 0 has no negative.
        assert!(Point::from_bytes(&with_ends(1, 0, 0x80)).is_none());
        assert!(Point::from_bytes(&with_ends(0xec, 0xff, 0xff)).is_none());
    }

    #[test]
    fn sums_are_those_of_the_library() {
        let base = CompressedEdwardsY(BASE)
            .decompress()
            .expect("it is a point");
        let (mut ours, mut theirs) = (Point::from_bytes(&BASE).expect("it is a point"), base);
        let addend = ours.to_addend();
        for _ in 0..300 {
            assert_eq!(ours.to_bytes(), Ok(theirs.compress().to_bytes()));
            assert_eq!(
                ours.negated().to_bytes(),
                Ok((-theirs).compress().to_bytes())
            );
            ours = ours.plus(&ours.to_addend()).plus(&addend);
            theirs = theirs + theirs + base;
        }
        let nothing = ours.plus(&ours.negated().to_addend());
        assert_eq!(nothing.to_bytes(), Point::IDENTITY.to_bytes());
    }

    #[test]
    fn small_orders_are_those_of_the_library() {
        for torsion in curve25519_dalek::constants::EIGHT_TORSION {
            assert!(torsion.is_small_order());
            assert!(is_of_small_order(&torsion.compress().to_bytes()));
            assert!(
                (torsion + torsion + torsion + torsion).is_small_order() || torsion.is_identity()
            );
        }
        assert!(!is_of_small_order(&BASE));
    }

    #[test]
    fn what_is_no_point_is_not_encoded() {
        let good = Point::from_bytes(&BASE).expect("it is a point");
        let zero = Element::ZERO;
        for bad in [
            Point { z: zero, ..good },
            Point { x: zero, ..good },
            Point { t: zero, ..good },
            Point {
                x: good.y,
                t: good.y.squared(),
                ..good
            },
            Point {
                x: zero,
                y: zero,
                z: zero,
                t: zero,
            },
        ] {
            assert_eq!(bad.to_bytes(), Err(NoPoint));
        }
    }
}
