//! The inverse modulo p by the division steps of Bernstein and Yang ("safegcd", 2019), in the
//! variable-time form of libsecp256k1's `modinv32`: everything verified here is public.
//!
//! The caller multiplies the result with what it inverted, so that nothing rests on this being
//! right. Numbers are nine limbs of 30 bits, the last one signed. As the entries of a matrix
//! of 30 steps satisfy |u| + |v| ≤ 2^30, every sum of products below stays within 2^61.

use super::field::Element;

/// The inverse of `element`; of zero, zero.
pub(super) fn inverse(element: &Element) -> Element {
    let mut f = Limbs::P;
    let mut g = Limbs::from_words(element.words());
    let (mut d, mut e) = (Limbs([0; N_LIMBS]), Limbs::ONE);
    let mut eta = -1;
    // With at most 741 steps for 256 bits (Bernstein and Yang, theorem 11.2), 25 rounds are
    // enough; the bound keeps a slip from looping for ever.
    for _ in 0..MAX_ROUNDS {
        let matrix = steps(&mut eta, f.0[0], g.0[0]);
        matrix.apply_modulo_p(&mut d, &mut e);
        matrix.apply_exactly(&mut f, &mut g);
        if g.0 == [0; N_LIMBS] {
            break;
        }
    }
    let inverse = d.to_element();
    if f.0[N_LIMBS - 1] < 0 {
        inverse.negated()
    } else {
        inverse
    }
}

/// A signed number; all limbs but the last are in 0..2^30.
struct Limbs([i32; N_LIMBS]);

/// What 30 division steps do to (f, g), times 2^30.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// Thirty division steps on the low bits of f and g.
#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "arithmetic modulo 2^32 in two's complement"
)]
fn steps(eta: &mut i32, f: i32, g: i32) -> Matrix {
    let (mut u, mut v, mut q, mut r) = (1u32, 0u32, 0u32, 1u32);
    let (mut f, mut g) = (f as u32, g as u32);
    let mut left = STEPS;
    loop {
        let zeros = (g | u32::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *eta -= zeros as i32;
        left -= zeros;
        if left == 0 {
            break;
        }
        if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        // As many bits of g as f can clear before the next swap, at most what the table has.
        let bits = left.min(*eta as u32 + 1).min(TABLE_BITS);
        let mask = (1 << bits) - 1;
        let inverse = NEGATIVE_INVERSES[(f >> 1 & 0x7f) as usize];
        let w = g.wrapping_mul(u32::from(inverse)) & mask;
        g = g.wrapping_add(f.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
    let signed = |entry: u32| i64::from(entry as i32);
    Matrix {
        u: signed(u),
        v: signed(v),
        q: signed(q),
        r: signed(r),
    }
}

impl Matrix {
    /// (d, e) becomes matrix · (d, e) / 2^30 modulo p, again within (−2p, p).
    fn apply_modulo_p(&self, d: &mut Limbs, e: &mut Limbs) {
        let &Self { u, v, q, r } = self;
        let (d_sign, e_sign) = (d.sign(), e.sign());
        let (mut d_sum, mut e_sum) = self.row(d.0[0], e.0[0]);
        // Multiples of p that make both divisible by 2^30.
        let d_p = multiple_of_p((u & d_sign) + (v & e_sign), d_sum);
        let e_p = multiple_of_p((q & d_sign) + (r & e_sign), e_sum);
        d_sum = (d_sum - 19 * d_p) >> STEPS;
        e_sum = (e_sum - 19 * e_p) >> STEPS;
        for i in 1..N_LIMBS {
            let (d_row, e_row) = self.row(d.0[i], e.0[i]);
            d_sum += d_row;
            e_sum += e_row;
            if i == N_LIMBS - 1 {
                d_sum += d_p << TOP_BIT_OF_P;
                e_sum += e_p << TOP_BIT_OF_P;
            }
            d.0[i - 1] = low_bits(&mut d_sum);
            e.0[i - 1] = low_bits(&mut e_sum);
        }
        d.0[N_LIMBS - 1] = top_limb(d_sum);
        e.0[N_LIMBS - 1] = top_limb(e_sum);
    }

    /// (f, g) becomes matrix · (f, g) / 2^30, which is exact.
    fn apply_exactly(&self, f: &mut Limbs, g: &mut Limbs) {
        let (mut f_sum, mut g_sum) = self.row(f.0[0], g.0[0]);
        f_sum >>= STEPS;
        g_sum >>= STEPS;
        for i in 1..N_LIMBS {
            let (f_row, g_row) = self.row(f.0[i], g.0[i]);
            f_sum += f_row;
            g_sum += g_row;
            f.0[i - 1] = low_bits(&mut f_sum);
            g.0[i - 1] = low_bits(&mut g_sum);
        }
        f.0[N_LIMBS - 1] = top_limb(f_sum);
        g.0[N_LIMBS - 1] = top_limb(g_sum);
    }

    fn row(&self, a: i32, b: i32) -> (i64, i64) {
        let (a, b) = (i64::from(a), i64::from(b));
        (self.u * a + self.v * b, self.q * a + self.r * b)
    }
}

/// What to add of p to `sum` + `start`·p so that 2^30 divides it.
fn multiple_of_p(start: i64, sum: i64) -> i64 {
    start - ((INVERSE_OF_P * (sum & LOW) + start) & LOW)
}

/// Takes the low 30 bits off `sum`.
fn low_bits(sum: &mut i64) -> i32 {
    let low = *sum & LOW;
    *sum >>= STEPS;
    low as i32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "|value| < 2p < 2^257, of which this is what is above 2^240"
)]
fn top_limb(sum: i64) -> i32 {
    debug_assert!(i32::try_from(sum).is_ok());
    sum as i32
}

impl Limbs {
    const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// 2^255 − 19, the one number here with a negative limb that is not the last: the steps
    /// take any, and the first round makes it regular.
    const P: Self = Self([-19, 0, 0, 0, 0, 0, 0, 0, 1 << TOP_BIT_OF_P]);

    fn from_words(words: [u64; 4]) -> Self {
        Self(core::array::from_fn(|i| {
            let (at, shift) = (30 * i / 64, 30 * i % 64);
            let above = if shift > 34 { words.get(at + 1) } else { None };
            let bits = words[at] >> shift | above.map_or(0, |word| word << (64 - shift));
            (bits & 0x3fff_ffff) as i32
        }))
    }

    /// All ones when negative, else zero.
    fn sign(&self) -> i64 {
        i64::from(self.0[N_LIMBS - 1] >> 31)
    }

    /// Of a value in (−2p, p): adding 2p makes every limb but perhaps the first positive.
    #[expect(clippy::cast_sign_loss, reason = "it is positive after adding 2p")]
    fn to_element(&self) -> Element {
        let mut limbs = self.0.map(i64::from);
        limbs[0] -= 2 * 19;
        limbs[N_LIMBS - 1] += 2 << TOP_BIT_OF_P;
        for i in 1..N_LIMBS {
            limbs[i] += limbs[i - 1] >> STEPS;
            limbs[i - 1] &= LOW;
        }
        debug_assert!(limbs[N_LIMBS - 1] >= 0);
        let [a, b, c, d, e, f, g, h, i] = limbs.map(|limb| limb as u64);
        // Bits 30 i … of the value to bits 51 j ….
        Element::from_limbs([
            a | (b & 0x1f_ffff) << 30,
            b >> 21 | c << 9 | (d & 0xfff) << 39,
            d >> 12 | e << 18 | (f & 0x7) << 48,
            f >> 3 | (g & 0xff_ffff) << 27,
            g >> 24 | h << 6 | i << 36,
        ])
    }
}

/// −1/f modulo 256 for odd f, by f >> 1.
const NEGATIVE_INVERSES: [u8; 128] = {
    let mut table = [0; 128];
    let mut i = 0u8;
    while i < 128 {
        let f = 2 * i + 1;
        // Newton's iteration doubles the correct bits: 3, 6, 12.
        let mut inverse = f;
        let mut round = 0;
        while round < 2 {
            inverse = inverse.wrapping_mul(2u8.wrapping_sub(f.wrapping_mul(inverse)));
            round += 1;
        }
        table[i as usize] = inverse.wrapping_neg();
        i += 1;
    }
    table
};

const N_LIMBS: usize = 9;
const STEPS: u32 = 30;
const TABLE_BITS: u32 = 8;
const LOW: i64 = (1 << STEPS) - 1;
/// 255 − 8 · 30.
const TOP_BIT_OF_P: u32 = 15;
const MAX_ROUNDS: usize = 25;

/// 1/p modulo 2^30, that is, −1/19.
const INVERSE_OF_P: i64 = {
    let mut inverse = 1i64;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2 + 19 * inverse) & LOW;
        round += 1;
    }
    inverse
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn inverse_times_the_element_is_one() {
        let mut random = Random::new(41);
        let mut bytes = [[0; 32]; 6];
        bytes[0][0] = 1;
        bytes[1] = [0xff; 32];
        bytes[2] = Element::ONE.negated().to_bytes();
        bytes[3][31] = 0x40;
        bytes[4][0] = 19;
        bytes[5][15] = 1;
        let odd = bytes.into_iter();
        let some = core::iter::repeat_with(|| random.array()).take(20_000);
        for bytes in odd.chain(some) {
            let element = Element::from_bytes(&bytes);
            let product = element.times(&inverse(&element));
            assert!(product.equals(&Element::ONE), "{bytes:02x?}");
        }
    }

    #[test]
    fn zero_has_no_inverse() {
        assert!(inverse(&Element::ZERO).is_zero());
    }
}
