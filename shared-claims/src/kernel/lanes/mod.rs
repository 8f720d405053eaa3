//! Adding up in two lanes of floating-point numbers: what engines with relaxed SIMD do. One lane
//! holds the sum of what belongs to the key, the other of what belongs to the base point.
//!
//! WebAssembly multiplies 64 by 64 bits and keeps 64 of them; a fused multiply-add gives all 106
//! bits of a product of two 53-bit numbers in two steps, for both lanes at once. Every number
//! here is whole and every step exact: rounding cuts products at a bit, and loses nothing.
//!
//! An element has five limbs of 51 bits that may be negative, and again two bounds are kept and
//! asserted in debug builds. *Tight*: limbs within ±(2^50 + 2^12); multiplying makes such
//! elements, carrying and the tables make smaller ones. *Loose*: the sum or difference of two
//! tight ones, within ±(2^51 + 2^13). A product takes a loose element and a tight one, so that
//! the product of two limbs is below 2^102, as `times` needs it.
#![expect(
    clippy::float_arithmetic,
    clippy::float_cmp,
    reason = "exact arithmetic on whole numbers is what this module is about"
)]
#![expect(
    clippy::inline_always,
    reason = "vectors that are passed through memory cost more than what is done with them"
)]

mod encoding;
mod making;
#[cfg(not(all(target_family = "wasm", target_feature = "relaxed-simd")))]
#[path = "software.rs"]
mod vector;
#[cfg(all(target_family = "wasm", target_feature = "relaxed-simd"))]
#[path = "simd.rs"]
mod vector;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use once_cell::race::OnceBox;

use super::equation::base_table;
use super::fault::{self, Fault};
use super::field::{BITS, Element, LOW, N_LIMBS};
use super::point::{D, NoPoint, Point};
use super::table::{Engine, Factor, N_MULTIPLES, N_PLACES, Table};
use vector::Pair;

/// Calls a function with each pair of numbers, without a loop.
macro_rules! unrolled {
    ($call:ident: $($i:literal $j:literal),*) => { $( $call($i, $j); )* };
}

/// The engine of WebAssembly with fused multiply-add.
pub(super) struct Lanes;

/// (y + x)/2, (y − x)/2 and d·x·y: halves, so that Z need not be doubled.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    plus: [f64; N_LIMBS],
    minus: [f64; N_LIMBS],
    xyd: [f64; N_LIMBS],
}

/// An element in either lane.
type Two = [Pair; N_LIMBS];

/// Extended coordinates in both lanes, all tight.
#[derive(Clone, Copy)]
struct Sum {
    x: Two,
    y: Two,
    z: Two,
    t: Two,
}

impl Engine for Lanes {
    type Entry = Entry;

    fn base() -> Option<&'static Table<Self>> {
        static BASE: OnceBox<Option<Table<Lanes>>> = OnceBox::new();
        BASE.get_or_init(|| Box::new(base_table())).as_ref()
    }

    fn multiples(points: &[Point; N_PLACES]) -> Option<Vec<Entry>> {
        let mut entries = Vec::with_capacity(N_PLACES * N_MULTIPLES);
        for two_points in points.chunks(2) {
            let first = &two_points[0];
            making::append_multiples(first, two_points.get(1), &mut entries)?;
        }
        Some(entries)
    }

    fn encoded_sum(base: Factor<'_, Self>, key: Factor<'_, Self>) -> Result<[u8; 32], NoPoint> {
        black_box(fetched(&key) + fetched(&base));
        let mut sum = Sum::of(entry_at(&key, 0), entry_at(&base, 0));
        for place in 1..N_PLACES {
            sum.add(entry_at(&key, place), entry_at(&base, place));
        }
        if fault::is_planted(Fault::KeyLaneDropped) {
            return sum.lane(1).to_bytes();
        }
        if fault::is_planted(Fault::BaseLaneDropped) {
            return sum.lane(0).to_bytes();
        }
        sum.across().to_bytes()
    }

    /// An engine may round the product before it adds (this is what is relaxed in relaxed
    /// SIMD), always or never while a program runs. Squaring 2^27 + 1 and taking away all but
    /// the last bit tells: rounded in between, that bit is lost.
    fn works() -> bool {
        let rest = Pair::splat(black_box(-18_014_398_777_917_440.0));
        [134_217_729.0, -134_217_729.0].into_iter().all(|root| {
            let root = Pair::splat(black_box(root));
            root.times_plus(root, rest).lanes() == [1.0; 2]
        })
    }
}

impl Sum {
    /// One entry in the first lane and another in the second, each negated if so said.
    #[inline(never)]
    fn of(first: (&Entry, bool), second: (&Entry, bool)) -> Self {
        let [first_plus, first_minus] = first.0.halves(first.1);
        let [second_plus, second_minus] = second.0.halves(second.1);
        let halves = pairs(first_plus, second_plus);
        let others = pairs(first_minus, second_minus);
        let x = minus(&halves, &others);
        let y = carried(&plus(&halves, &others));
        let [zero, one] = [Pair::splat(0.0), Pair::splat(1.0)];
        Self {
            t: times(&x, &y),
            x: carried(&x),
            y,
            z: [one, zero, zero, zero, zero],
        }
    }

    /// Adds one entry to the first lane and another to the second, each negated if so said. The
    /// entry of −P is that of P with the first two exchanged and the third negated.
    #[inline(never)]
    fn add(&mut self, first: (&Entry, bool), second: (&Entry, bool)) {
        let [first_plus, first_minus] = first.0.halves(first.1);
        let [second_plus, second_minus] = second.0.halves(second.1);
        let a = times(&minus(&self.y, &self.x), &pairs(first_minus, second_minus));
        let b = times(&plus(&self.y, &self.x), &pairs(first_plus, second_plus));
        let c = times(&self.t, &pairs(&first.0.xyd, &second.0.xyd));
        let signs = Pair::signs(first.1, second.1);
        let c = two(|i| c[i].xor(signs));
        let e = carried(&minus(&b, &a));
        let g = carried(&plus(&self.z, &c));
        let f = minus(&self.z, &c);
        let h = plus(&b, &a);
        times_into(&mut self.x, &f, &e);
        times_into(&mut self.y, &h, &g);
        times_into(&mut self.z, &f, &g);
        times_into(&mut self.t, &h, &e);
    }
}

impl Entry {
    /// Of the identity: x = 0, y = 1, and one half is 2^254 − 9.
    const IDENTITY: Self = Self {
        plus: [-9.0, 0.0, 0.0, 0.0, TWO_50],
        minus: [-9.0, 0.0, 0.0, 0.0, TWO_50],
        xyd: [0.0; N_LIMBS],
    };

    #[inline(always)]
    fn halves(&self, negative: bool) -> [&[f64; N_LIMBS]; 2] {
        if negative {
            [&self.minus, &self.plus]
        } else {
            [&self.plus, &self.minus]
        }
    }
}

/// What the digit in a place adds, and whether it is to be negated.
#[inline(always)]
fn entry_at<'a>(factor: &Factor<'a, Lanes>, place: usize) -> (&'a Entry, bool) {
    match factor.digits.0[place] {
        0 => (&Entry::IDENTITY, false),
        digit => (factor.table.entry(place, digit), digit < 0),
    }
}

/// Reads a number from every line of the cache that the sum will need. Between two tokens others
/// use the cache: one after the other, each addition would wait for memory; here all are under way
/// at once.
#[inline(never)]
fn fetched(factor: &Factor<'_, Lanes>) -> f64 {
    let mut sum = 0.0;
    for place in 0..N_PLACES {
        let (entry, _) = entry_at(factor, place);
        sum += entry.plus[0] + entry.minus[3] + entry.xyd[4];
    }
    sum
}

#[inline(always)]
fn pairs(first: &[f64; N_LIMBS], second: &[f64; N_LIMBS]) -> Two {
    two(|i| Pair::new(first[i], second[i]))
}

/// An element limb by limb, without a loop: the compiler does not unroll where it saves space.
#[inline(always)]
fn two(limb: impl Fn(usize) -> Pair) -> Two {
    [limb(0), limb(1), limb(2), limb(3), limb(4)]
}

/// The elements in the two lanes.
#[inline(never)]
fn split(two: &Two) -> [[f64; N_LIMBS]; 2] {
    [0, 1].map(|lane| two.map(|pair| pair.lanes()[lane]))
}

#[inline(always)]
fn plus(a: &Two, b: &Two) -> Two {
    debug_assert!(are_within(a, TIGHT) && are_within(b, TIGHT));
    two(|i| a[i].plus(b[i]))
}

#[inline(always)]
fn minus(a: &Two, b: &Two) -> Two {
    debug_assert!(are_within(a, TIGHT) && are_within(b, TIGHT));
    two(|i| a[i].minus(b[i]))
}

/// Carries a loose element once: every carry is −1, 0 or 1, and limbs end within ±(2^50 + 19).
/// Adding 3 · 2^102 and taking it away again rounds to multiples of 2^51.
#[inline(always)]
fn carried(a: &Two) -> Two {
    debug_assert!(are_within(a, LOOSE));
    let big = Pair::splat(CUT);
    let [one, nineteen] = [Pair::splat(1.0 / TWO_51), Pair::splat(19.0 / TWO_51)];
    let high = two(|i| a[i].plus(big).minus(big));
    let carried = two(|i| {
        let rest = a[i].minus(high[i]);
        match i {
            0 => high[N_LIMBS - 1].times_plus(nineteen, rest),
            _ => high[i - 1].times_plus(one, rest),
        }
    });
    debug_assert!(are_within(&carried, CARRIED));
    carried
}

/// The product in both lanes, tight.
///
/// 1. As |a·b| < 2^102, `high` = a·b + 3 · 2^102 lies between 2^103 and 2^104, where numbers are
///    multiples of 2^51: a·b is rounded to h · 2^51 with |h| ≤ 2^51. The bits of `high`, as an
///    integer, are those of 3 · 2^102 plus h.
/// 2. `low` = a·b − h · 2^51 + 3 · 2^51, where what h leaves of a·b is within ±2^50, lies between
///    2^52 and 2^53, where numbers are whole: exact. Its bits are those of 3 · 2^51 plus the rest.
/// 3. Added as integers, the bits make ten sums; the constants in them are known, and are taken
///    away modulo 2^64. The upper five sums come back times 19. The result with the most in it
///    is the first: one rest, and 19 times four rests and five h, within ±267 · 2^50.
/// 4. With 2^62 + 2^50 added, results are positive. Their upper bits, 2^11 and at most 134 off,
///    are carried to the next limb, 19 times those of the last to the first; their lower 51
///    bits stay. What was added is taken away again: 2^50 from each limb, and what every carry
///    has of it. Limbs end within ±(2^50 + 134), the first within ±(2^50 + 19 · 134).
#[inline(always)]
fn times(loose: &Two, tight: &Two) -> Two {
    let mut product = [Pair::splat_bits(0); N_LIMBS];
    times_into(&mut product, loose, tight);
    product
}

#[inline(never)]
fn times_into(out: &mut Two, loose: &Two, tight: &Two) {
    debug_assert!(are_within(loose, LOOSE) && are_within(tight, TIGHT));
    let (cut, cut_and_offset) = (Pair::splat(CUT), Pair::splat(CUT + OFFSET));
    let mut sums = [Pair::splat_bits(0); 2 * N_LIMBS];
    let mut add_product = |i: usize, j: usize| {
        let high = loose[i].times_plus(tight[j], cut);
        let low = loose[i].times_plus(tight[j], cut_and_offset.minus(high));
        sums[i + j] = sums[i + j].plus_bits(low);
        sums[i + j + 1] = sums[i + j + 1].plus_bits(high);
    };
    // By sums, so that few are in use at once.
    unrolled!(add_product: 0 0);
    unrolled!(add_product: 0 1, 1 0);
    unrolled!(add_product: 0 2, 1 1, 2 0);
    unrolled!(add_product: 0 3, 1 2, 2 1, 3 0);
    unrolled!(add_product: 0 4, 1 3, 2 2, 3 1, 4 0);
    unrolled!(add_product: 1 4, 2 3, 3 2, 4 1);
    unrolled!(add_product: 2 4, 3 3, 4 2);
    unrolled!(add_product: 3 4, 4 3);
    unrolled!(add_product: 4 4);
    let results = two(|i| {
        let corrected = sums[i].plus_bits(Pair::splat_bits(CORRECTION[i]));
        corrected.plus_bits(sums[i + N_LIMBS].bits_times_19())
    });
    let product = with_carries(&results);
    debug_assert!(are_within(&product, TIGHT));
    *out = product;
}

/// Step 4 of [`times`]. A whole number below 2^52 becomes a floating-point number 2^52 larger by
/// the exponent being set above its bits.
#[inline(always)]
fn with_carries(results: &Two) -> Two {
    let low = Pair::splat_bits(LOW);
    let rests = two(|i| results[i].and(low));
    let carries = two(|i| results[i].bits_shifted_right::<BITS>());
    let mut wrapped = carries[N_LIMBS - 1].bits_times_19();
    if fault::is_planted(Fault::LaneCarry) && rests[0].bits()[0] & FAULT_PATTERN == 0 {
        wrapped = Pair::splat_bits(19 << 11);
    }
    let exponent = Pair::splat_bits(TWO_52.to_bits());
    two(|i| {
        let (carry, added) = match i {
            0 => (wrapped, TWO_52 + TWO_50 + 19.0 * TWO_11),
            _ => (carries[i - 1], TWO_52 + TWO_50 + TWO_11),
        };
        let number = rests[i].plus_bits(carry).plus_bits(exponent);
        number.minus(Pair::splat(added))
    })
}

/// Limbs within ±2^50, the first within ±(2^50 + 19).
#[expect(clippy::cast_precision_loss, reason = "limbs have at most 51 bits")]
fn balanced(element: &Element) -> [f64; N_LIMBS] {
    let mut limbs = element.canonical().map(u64::cast_signed);
    for i in 0..N_LIMBS {
        if limbs[i] >= 1 << (BITS - 1) {
            limbs[i] -= 1 << BITS;
            match limbs.get_mut(i + 1) {
                Some(next) => *next += 1,
                None => limbs[0] += 19,
            }
        }
    }
    limbs.map(|limb| limb as f64)
}

/// Of limbs that are tight: adding 2p makes them positive.
#[expect(
    clippy::cast_possible_truncation,
    reason = "limbs are whole and have at most 51 bits"
)]
#[inline(never)]
fn from_balanced(limbs: [f64; N_LIMBS]) -> Element {
    let limbs = limbs.map(|limb| (limb as i64).wrapping_add(2 << BITS).cast_unsigned());
    let [first, rest @ ..] = limbs;
    let [b, c, d, e] = rest.map(|limb| limb - 2);
    Element::from_limbs([first - 38, b, c, d, e])
}

/// Whether every number in both lanes is whole and its absolute value at most `bound`.
fn are_within(a: &Two, bound: f64) -> bool {
    let is_good = |limb: f64| limb % 1.0 == 0.0 && limb.abs() <= bound;
    a.iter().all(|pair| pair.lanes().into_iter().all(is_good))
}

/// What step 3 of [`times`] takes away, and the 2^62 + 2^50 of step 4. Of the 25 products, those
/// with i + j = k give their rest to sum k and their h to sum k + 1.
const CORRECTION: [u64; N_LIMBS] = {
    let mut constants = [0u64; 2 * N_LIMBS];
    let mut product = 0;
    while product < N_LIMBS * N_LIMBS {
        let sum = product / N_LIMBS + product % N_LIMBS;
        constants[sum] = constants[sum].wrapping_add(OFFSET.to_bits());
        constants[sum + 1] = constants[sum + 1].wrapping_add(CUT.to_bits());
        product += 1;
    }
    let mut corrections = [0; N_LIMBS];
    let mut i = 0;
    while i < N_LIMBS {
        let upper = constants[i + N_LIMBS].wrapping_mul(19);
        let constant = constants[i].wrapping_add(upper);
        corrections[i] = ((1u64 << 62) + (1 << 50)).wrapping_sub(constant);
        i += 1;
    }
    corrections
};

/// (p + 1)/2 = 2^254 − 9.
const HALF: Element = Element::from_limbs([LOW - 8, LOW, LOW, LOW, LOW >> 1]);

const ONE: [f64; N_LIMBS] = [1.0, 0.0, 0.0, 0.0, 0.0];

const TWO_11: f64 = 2048.0;
const TWO_50: f64 = 1_125_899_906_842_624.0;
const TWO_51: f64 = 2.0 * TWO_50;
const TWO_52: f64 = 4.0 * TWO_50;

/// Where whole numbers begin to be multiples of 2^51: 3 · 2^102.
const CUT: f64 = 3.0 * TWO_51 * TWO_51;
/// Where they begin to be whole, with as much room below as above: 3 · 2^51.
const OFFSET: f64 = 3.0 * TWO_51;

const TIGHT: f64 = TWO_50 + 4096.0;
const LOOSE: f64 = TWO_51 + 8192.0;
const CARRIED: f64 = TWO_50 + 19.0;

/// As rare as the planted fault of the plain arithmetic.
const FAULT_PATTERN: u64 = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Whole limbs up to the bound, often at it.
    #[expect(clippy::cast_precision_loss, reason = "limbs have at most 52 bits")]
    fn limbs(random: &mut Random, bound: u64) -> [f64; N_LIMBS] {
        core::array::from_fn(|_| {
            let size = match random.below(4) {
                0 => bound - random.bits() % 3,
                1 => random.bits() % 3,
                _ => random.bits() % (bound + 1),
            };
            let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
            sign * size as f64
        })
    }

    /// From limbs of any sign within the bound of loose ones.
    fn element(limbs: [f64; N_LIMBS]) -> Element {
        let [high, low] = [limbs.map(|limb| (limb / 2.0).trunc()), limbs];
        let rest: [f64; N_LIMBS] = core::array::from_fn(|i| low[i] - 2.0 * high[i]);
        let high = from_balanced(high);
        high.plus(&high).plus(&from_balanced(rest)).tightened()
    }

    #[test]
    fn products_in_both_lanes_are_those_of_the_plain_arithmetic_up_to_the_bounds() {
        let mut random = Random::new(71);
        for _ in 0..50_000 {
            let loose = [0, 1].map(|_| limbs(&mut random, (1 << 51) + (1 << 13)));
            let tight = [0, 1].map(|_| limbs(&mut random, (1 << 50) + (1 << 12)));
            let product = times(&pairs(&loose[0], &loose[1]), &pairs(&tight[0], &tight[1]));
            for lane in 0..2 {
                let ours = from_balanced(product.map(|pair| pair.lanes()[lane]));
                let expected = element(loose[lane]).times(&element(tight[lane]));
                assert!(ours.equals(&expected), "{loose:?} {tight:?}");
            }
        }
    }

    #[test]
    fn carrying_changes_no_value() {
        let mut random = Random::new(72);
        for _ in 0..50_000 {
            let loose = [0, 1].map(|_| limbs(&mut random, (1 << 51) + (1 << 13)));
            let result = carried(&pairs(&loose[0], &loose[1]));
            for lane in 0..2 {
                let ours = from_balanced(result.map(|pair| pair.lanes()[lane]));
                assert!(ours.equals(&element(loose[lane])), "{loose:?}");
            }
        }
    }

    #[test]
    fn balanced_limbs_come_back() {
        let mut random = Random::new(73);
        for i in 0..10_000 {
            let mut bytes = random.array();
            if i % 2 == 0 {
                bytes = bytes.map(|byte| if byte < 0x80 { 0 } else { 0xff });
            }
            let element = Element::from_bytes(&bytes);
            let limbs = balanced(&element);
            assert!(limbs.iter().all(|limb| limb.abs() <= CARRIED));
            assert!(from_balanced(limbs).equals(&element));
        }
        let half = from_balanced(Entry::IDENTITY.plus);
        assert!(half.plus(&half).equals(&Element::ONE));
    }

    #[test]
    fn software_fuses() {
        assert!(Lanes::works());
    }
}
