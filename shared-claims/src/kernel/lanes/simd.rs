//! Two lanes in one vector of WebAssembly.

use core::arch::wasm32::{
    f64x2, f64x2_add, f64x2_extract_lane, f64x2_relaxed_madd, f64x2_splat, f64x2_sub, i64x2_add,
    i64x2_shl, u64x2, u64x2_extract_lane, u64x2_shr, u64x2_splat, v128, v128_and, v128_xor,
};

/// Two floating-point numbers, or the two integers with their bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair(v128);

impl Pair {
    #[inline(always)]
    pub(super) fn new(first: f64, second: f64) -> Self {
        Self(f64x2(first, second))
    }

    #[inline(always)]
    pub(super) fn splat(number: f64) -> Self {
        Self(f64x2_splat(number))
    }

    #[inline(always)]
    pub(super) fn splat_bits(bits: u64) -> Self {
        Self(u64x2_splat(bits))
    }

    /// What negates, by `xor`, the lanes that are to be negated.
    #[inline(always)]
    pub(super) fn signs(first: bool, second: bool) -> Self {
        Self(u64x2(u64::from(first) << 63, u64::from(second) << 63))
    }

    #[inline(always)]
    pub(super) fn lanes(self) -> [f64; 2] {
        [
            f64x2_extract_lane::<0>(self.0),
            f64x2_extract_lane::<1>(self.0),
        ]
    }

    #[inline(always)]
    pub(super) fn bits(self) -> [u64; 2] {
        [
            u64x2_extract_lane::<0>(self.0),
            u64x2_extract_lane::<1>(self.0),
        ]
    }

    /// `self` · `factor` + `addend`, rounded once where the engine fuses.
    #[inline(always)]
    pub(super) fn times_plus(self, factor: Self, addend: Self) -> Self {
        Self(f64x2_relaxed_madd(self.0, factor.0, addend.0))
    }

    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        Self(f64x2_add(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn minus(self, other: Self) -> Self {
        Self(f64x2_sub(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn plus_bits(self, other: Self) -> Self {
        Self(i64x2_add(self.0, other.0))
    }

    /// By shifts: most processors multiply no vectors of 64-bit integers.
    #[inline(always)]
    pub(super) fn bits_times_19(self) -> Self {
        let (double, sixteenfold) = (i64x2_shl(self.0, 1), i64x2_shl(self.0, 4));
        Self(i64x2_add(i64x2_add(self.0, double), sixteenfold))
    }

    #[inline(always)]
    pub(super) fn bits_shifted_right<const N: u32>(self) -> Self {
        Self(u64x2_shr(self.0, N))
    }

    #[inline(always)]
    pub(super) fn and(self, other: Self) -> Self {
        Self(v128_and(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn xor(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }
}
