//! Two lanes one after the other, for the tests of native programs: `f64::mul_add` is fused
//! everywhere, by an instruction or by software.

/// Two floating-point numbers, or the two integers with their bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair([f64; 2]);

impl Pair {
    pub(super) fn new(first: f64, second: f64) -> Self {
        Self([first, second])
    }

    pub(super) fn splat(number: f64) -> Self {
        Self([number; 2])
    }

    pub(super) fn splat_bits(bits: u64) -> Self {
        Self::splat(f64::from_bits(bits))
    }

    /// What negates, by `xor`, the lanes that are to be negated.
    pub(super) fn signs(first: bool, second: bool) -> Self {
        Self([first, second].map(|negative| if negative { -0.0 } else { 0.0 }))
    }

    pub(super) fn lanes(self) -> [f64; 2] {
        self.0
    }

    pub(super) fn bits(self) -> [u64; 2] {
        self.0.map(f64::to_bits)
    }

    /// `self` · `factor` + `addend`, rounded once.
    pub(super) fn times_plus(self, factor: Self, addend: Self) -> Self {
        let lane = |i: usize| self.0[i].mul_add(factor.0[i], addend.0[i]);
        Self([lane(0), lane(1)])
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self([self.0[0] + other.0[0], self.0[1] + other.0[1]])
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self([self.0[0] - other.0[0], self.0[1] - other.0[1]])
    }

    pub(super) fn plus_bits(self, other: Self) -> Self {
        self.by_bits(other, u64::wrapping_add)
    }

    pub(super) fn bits_times_19(self) -> Self {
        self.by_bits(self, |bits, _| bits.wrapping_mul(19))
    }

    pub(super) fn bits_shifted_right<const N: u32>(self) -> Self {
        self.by_bits(self, |bits, _| bits >> N)
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.by_bits(other, |a, b| a & b)
    }

    pub(super) fn xor(self, other: Self) -> Self {
        self.by_bits(other, |a, b| a ^ b)
    }

    fn by_bits(self, other: Self, operation: impl Fn(u64, u64) -> u64) -> Self {
        let lane = |i: usize| operation(self.0[i].to_bits(), other.0[i].to_bits());
        Self([lane(0), lane(1)].map(f64::from_bits))
    }
}
