//! Arithmetic modulo p = 2^255 − 19, in five limbs of 51 bits.
//!
//! The limbs of an element are never negative, and two bounds are kept, both asserted in debug
//! builds. *Tight*: every limb is below 2^51 + 2^13; multiplying, squaring and reading make
//! such elements. *Loose*: every limb is below 2^54; multiplying and squaring take such
//! elements. A sum of two tight elements is below 2^52 + 2^14. A difference of two elements
//! adds 2p, whose limbs are at least 2^52 − 38, so that what is taken away has to be below
//! that; what it is taken from may be below 2^53, so that the difference is loose.

use super::fault::{self, Fault};

/// An element of the field, not necessarily in its one canonical form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element(pub(super) [u64; N_LIMBS]);

impl Element {
    pub(super) const ZERO: Self = Self([0; N_LIMBS]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// Reads 255 bits, least significant byte first; the topmost bit is ignored.
    pub(super) const fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self([
            word(bytes, 0) & LOW,
            word(bytes, 6) >> 3 & LOW,
            word(bytes, 12) >> 6 & LOW,
            word(bytes, 19) >> 1 & LOW,
            word(bytes, 24) >> 12 & LOW,
        ])
    }

    /// An element of limbs that may be as large as a `u64`.
    pub(super) const fn from_limbs(limbs: [u64; N_LIMBS]) -> Self {
        Self(carried(limbs))
    }

    /// The limbs of the canonical form: the value is below p, each limb below 2^51.
    pub(super) const fn canonical(&self) -> [u64; N_LIMBS] {
        let limbs = carried(self.0);
        // The value is below 2p. It is at least p exactly when adding 19 reaches 2^255.
        let mut carry = 19;
        let mut i = 0;
        while i < N_LIMBS {
            carry = (limbs[i] + carry) >> BITS;
            i += 1;
        }
        let mut out = [0; N_LIMBS];
        carry *= 19;
        i = 0;
        while i < N_LIMBS {
            let sum = limbs[i] + carry;
            out[i] = sum & LOW;
            carry = sum >> BITS;
            i += 1;
        }
        out
    }

    /// The canonical form in four words, least significant first.
    pub(super) const fn words(&self) -> [u64; 4] {
        let [a, b, c, d, e] = self.canonical();
        [
            a | b << 51,
            b >> 13 | c << 38,
            c >> 26 | d << 25,
            d >> 39 | e << 12,
        ]
    }

    /// The canonical form, least significant byte first.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.words()) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// RFC 8032 §5.1.2 calls an x coordinate negative when it is odd.
    pub(super) const fn is_negative(&self) -> bool {
        self.canonical()[0] & 1 == 1
    }

    #[cfg(test)]
    pub(super) fn is_zero(&self) -> bool {
        self.canonical() == [0; N_LIMBS]
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }

    /// Takes and makes what [`times`](Self::times) can take: nothing is carried.
    #[inline]
    pub(super) fn plus(&self, other: &Self) -> Self {
        let sum = Self(core::array::from_fn(|i| self.0[i] + other.0[i]));
        sum.assert_loose();
        sum
    }

    /// `other` is at most a sum of two tight elements less 2^15.
    #[inline]
    pub(super) fn minus(&self, other: &Self) -> Self {
        debug_assert!((0..N_LIMBS).all(|i| other.0[i] <= TWICE_P[i]));
        let difference = Self(core::array::from_fn(|i| {
            self.0[i] + TWICE_P[i] - other.0[i]
        }));
        difference.assert_loose();
        difference
    }

    pub(super) fn negated(&self) -> Self {
        Self::ZERO.minus(self).tightened()
    }

    /// The same value, tight.
    pub(super) const fn tightened(&self) -> Self {
        Self(carried(self.0))
    }

    /// Each product is below 2^108, or 2^112.3 with the factor 19, and five of them below
    /// 2^114.4.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    pub(super) fn times(&self, other: &Self) -> Self {
        self.assert_loose();
        other.assert_loose();
        let a = self.0.map(u128::from);
        let b = other.0.map(u128::from);
        // What overflows 2^255 comes back times 19. Below 2^58.3, it still fits a word.
        let c = other.0.map(|limb| u128::from(limb * 19));
        Self::from_products([
            a[0] * b[0] + a[4] * c[1] + a[3] * c[2] + a[2] * c[3] + a[1] * c[4],
            a[1] * b[0] + a[0] * b[1] + a[4] * c[2] + a[3] * c[3] + a[2] * c[4],
            a[2] * b[0] + a[1] * b[1] + a[0] * b[2] + a[4] * c[3] + a[3] * c[4],
            a[3] * b[0] + a[2] * b[1] + a[1] * b[2] + a[0] * b[3] + a[4] * c[4],
            a[4] * b[0] + a[3] * b[1] + a[2] * b[2] + a[1] * b[3] + a[0] * b[4],
        ])
    }

    /// Like [`times`](Self::times) with itself, the equal products taken together.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline)]
    pub(super) fn squared(&self) -> Self {
        self.assert_loose();
        let a = self.0.map(u128::from);
        let d = self.0.map(|limb| u128::from(limb * 2));
        let c = self.0.map(|limb| u128::from(limb * 19));
        Self::from_products([
            a[0] * a[0] + d[1] * c[4] + d[2] * c[3],
            d[0] * a[1] + d[2] * c[4] + a[3] * c[3],
            d[0] * a[2] + a[1] * a[1] + d[3] * c[4],
            d[0] * a[3] + d[1] * a[2] + a[4] * c[4],
            d[0] * a[4] + d[1] * a[3] + a[2] * a[2],
        ])
    }

    /// `self` to the power of 2^n.
    fn squared_times(&self, n: usize) -> Self {
        (0..n).fold(*self, |power, _| power.squared())
    }

    /// `self` to the power of (p − 5) / 8 = 2^252 − 3, from which a square root is made
    /// (RFC 8032 §5.1.3).
    pub(super) fn root_power(&self) -> Self {
        let two = self.squared();
        let nine = two.squared_times(2).times(self);
        let ones_5 = nine.times(&two).squared().times(&nine);
        let ones_10 = ones_5.squared_times(5).times(&ones_5);
        let ones_20 = ones_10.squared_times(10).times(&ones_10);
        let ones_40 = ones_20.squared_times(20).times(&ones_20);
        let ones_50 = ones_40.squared_times(10).times(&ones_10);
        let ones_100 = ones_50.squared_times(50).times(&ones_50);
        let ones_200 = ones_100.squared_times(100).times(&ones_100);
        let ones_250 = ones_200.squared_times(50).times(&ones_50);
        ones_250.squared_times(2).times(self)
    }

    /// Carries sums below 2^114.4. The carry out of the last is below 2^59.4 (no factor 19 is in
    /// it), so that 19 times that fits a word; the second limb of the result is the only one
    /// that may exceed 2^51, by less than 2^13.
    #[expect(clippy::cast_possible_truncation, reason = "the low 51 bits are meant")]
    #[inline]
    fn from_products(sums: [u128; N_LIMBS]) -> Self {
        let [a, mut b, mut c, mut d, mut e] = sums;
        debug_assert!(sums.iter().all(|sum| *sum < 1 << 115));
        b += a >> BITS;
        c += b >> BITS;
        d += c >> BITS;
        e += d >> BITS;
        debug_assert!(e >> BITS < 1 << 60);
        let low = |sum: u128| sum as u64 & LOW;
        let mut first = low(a) + (e >> BITS) as u64 * 19;
        if fault::is_planted(Fault::PlainCarry) && first & FAULT_PATTERN == 0 {
            first &= LOW;
        }
        let element = Self([
            first & LOW,
            low(b) + (first >> BITS),
            low(c),
            low(d),
            low(e),
        ]);
        element.assert_tight();
        element
    }

    fn assert_loose(&self) {
        debug_assert!(self.0.iter().all(|limb| *limb < 1 << 54));
    }

    fn assert_tight(&self) {
        debug_assert!(self.0.iter().all(|limb| *limb < (1 << 51) + (1 << 13)));
    }
}

/// One pass of carries: of any limbs, limbs below 2^51 + 2^18; of loose ones, a value below 2p
/// in limbs below 2^51 + 2^8.
const fn carried(limbs: [u64; N_LIMBS]) -> [u64; N_LIMBS] {
    let [a, b, c, d, e] = limbs;
    [
        (a & LOW) + (e >> BITS) * 19,
        (b & LOW) + (a >> BITS),
        (c & LOW) + (b >> BITS),
        (d & LOW) + (c >> BITS),
        (e & LOW) + (d >> BITS),
    ]
}

/// Eight bytes from `at` on.
const fn word(bytes: &[u8; 32], at: usize) -> u64 {
    let mut word = [0; 8];
    let mut i = 0;
    while i < 8 {
        word[i] = bytes[at + i];
        i += 1;
    }
    u64::from_le_bytes(word)
}

pub(super) const N_LIMBS: usize = 5;
pub(super) const BITS: u32 = 51;
pub(super) const LOW: u64 = (1 << BITS) - 1;

/// 2p, limb by limb twice that of p.
const TWICE_P: [u64; N_LIMBS] = [2 * (LOW - 18), 2 * LOW, 2 * LOW, 2 * LOW, 2 * LOW];

/// A planted fault shows in one of 2^16 products: as rare as those found in real code.
const FAULT_PATTERN: u64 = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// p in words.
    const P: [u64; 4] = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, u64::MAX >> 1];

    /// The low word.
    #[expect(clippy::cast_possible_truncation, reason = "the low 64 bits are meant")]
    fn low(wide: u128) -> u64 {
        wide as u64
    }

    /// Schoolbook arithmetic on words, reduced by 38 and then by subtraction: slow and another way.
    fn product(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        let mut wide = [0u64; 8];
        for i in 0..4 {
            let mut carry = 0u128;
            for j in 0..4 {
                let sum = u128::from(a[i]) * u128::from(b[j]) + u128::from(wide[i + j]) + carry;
                wide[i + j] = low(sum);
                carry = sum >> 64;
            }
            wide[i + 4] = low(carry);
        }
        let mut rest = [wide[0], wide[1], wide[2], wide[3]];
        let mut fold = [wide[4], wide[5], wide[6], wide[7]];
        while fold != [0; 4] {
            let mut carry = 0u128;
            for i in 0..4 {
                let sum = u128::from(rest[i]) + u128::from(fold[i]) * 38 + carry;
                rest[i] = low(sum);
                carry = sum >> 64;
            }
            fold = [low(carry), 0, 0, 0];
        }
        while less_or_equal(P, rest) {
            rest = difference(rest, P);
        }
        rest
    }

    fn less_or_equal(a: [u64; 4], b: [u64; 4]) -> bool {
        a.iter().rev().le(b.iter().rev())
    }

    fn difference(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
        let mut borrow = false;
        core::array::from_fn(|i| {
            let (first, one) = a[i].overflowing_sub(b[i]);
            let (second, two) = first.overflowing_sub(u64::from(borrow));
            borrow = one || two;
            second
        })
    }

    /// Random limbs, and ones at the bounds.
    fn element(random: &mut Random, bound: u64) -> Element {
        Element(core::array::from_fn(|_| match random.below(4) {
            0 => bound - 1 - random.bits() % 3,
            1 => random.bits() % 3,
            _ => random.bits() % bound,
        }))
    }

    #[test]
    fn products_are_those_of_the_schoolbook_up_to_the_bounds() {
        let mut random = Random::new(31);
        for _ in 0..50_000 {
            let bound = [1 << 51, (1 << 51) + (1 << 13), 1 << 53, 1 << 54][random.below(4)];
            let (a, b) = (element(&mut random, bound), element(&mut random, bound));
            assert_eq!(a.times(&b).words(), product(a.words(), b.words()));
            assert_eq!(a.squared().words(), product(a.words(), a.words()));
        }
    }

    #[test]
    fn canonical_form_is_below_p_and_read_back() {
        for low in 0xe0..=0xff_u8 {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, 0x7f);
            let value = Element::from_bytes(&bytes).to_bytes();
            let mut reduced = [0; 32];
            reduced[0] = low.wrapping_sub(0xed);
            assert_eq!(value, if low < 0xed { bytes } else { reduced });
        }
        let mut random = Random::new(32);
        for _ in 0..1000 {
            let mut bytes = random.array();
            bytes[31] &= 0x3f;
            assert_eq!(Element::from_bytes(&bytes).to_bytes(), bytes);
        }
    }

    #[test]
    fn sums_and_differences_agree_with_each_other() {
        let mut random = Random::new(33);
        for _ in 0..10_000 {
            let bound = (1 << 51) + (1 << 13);
            let (a, b) = (element(&mut random, bound), element(&mut random, bound));
            assert!(a.minus(&b).plus(&b).tightened().equals(&a));
            assert!(a.plus(&b).minus(&a).equals(&b));
            assert!(a.negated().plus(&a).is_zero());
        }
    }
}
