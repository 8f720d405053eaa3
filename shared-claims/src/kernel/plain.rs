//! Adding up with 64-bit limbs: what native programs do.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use once_cell::race::OnceBox;

use super::equation::base_table;
use super::fault::{self, Fault};
use super::field::Element;
use super::inverse::inverse;
use super::point::{D, NoPoint, Point};
use super::table::{Engine, Factor, N_MULTIPLES, N_PLACES, Table};

/// The engine of machines that multiply 64 by 64 bits.
pub(super) struct Plain;

/// y + x, y − x and 2·d·x·y, all tight.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    y_plus_x: Element,
    y_minus_x: Element,
    xy2d: Element,
}

impl Engine for Plain {
    type Entry = Entry;

    fn base() -> Option<&'static Table<Self>> {
        static BASE: OnceBox<Option<Table<Plain>>> = OnceBox::new();
        BASE.get_or_init(|| Box::new(base_table())).as_ref()
    }

    fn multiples(points: &[Point; N_PLACES]) -> Option<Vec<Entry>> {
        let mut entries = Vec::with_capacity(N_PLACES * N_MULTIPLES);
        for point in points {
            let addend = point.to_addend();
            let mut multiples = [*point; N_MULTIPLES];
            for i in 1..N_MULTIPLES {
                multiples[i] = multiples[i - 1].plus(&addend);
            }
            let inverses = inverses(&multiples.map(|point| point.z))?;
            for (Point { x, y, .. }, inverse) in multiples.iter().zip(&inverses) {
                entries.push(entry(&x.times(inverse), &y.times(inverse)));
            }
        }
        Some(entries)
    }

    fn encoded_sum(base: Factor<'_, Self>, key: Factor<'_, Self>) -> Result<[u8; 32], NoPoint> {
        let mut sum = Point::IDENTITY;
        if !fault::is_planted(Fault::BaseLaneDropped) {
            add(&mut sum, &base);
        }
        if !fault::is_planted(Fault::KeyLaneDropped) {
            add(&mut sum, &key);
        }
        sum.to_bytes()
    }

    fn works() -> bool {
        true
    }
}

/// From affine coordinates.
fn entry(x: &Element, y: &Element) -> Entry {
    let xyd = x.times(y).times(&D);
    Entry {
        y_plus_x: y.plus(x).tightened(),
        y_minus_x: y.minus(x).tightened(),
        xy2d: xyd.plus(&xyd).tightened(),
    }
}

/// The inverses of all, by one inversion (Montgomery). `None` when that one is wrong.
fn inverses(elements: &[Element; N_MULTIPLES]) -> Option<[Element; N_MULTIPLES]> {
    let mut out = [Element::ONE; N_MULTIPLES];
    for i in 1..N_MULTIPLES {
        out[i] = out[i - 1].times(&elements[i - 1]);
    }
    let product = out[N_MULTIPLES - 1].times(&elements[N_MULTIPLES - 1]);
    let mut rest = inverse(&product);
    if !rest.times(&product).equals(&Element::ONE) {
        return None;
    }
    for i in (0..N_MULTIPLES).rev() {
        out[i] = out[i].times(&rest);
        rest = rest.times(&elements[i]);
    }
    Some(out)
}

fn add(sum: &mut Point, factor: &Factor<'_, Plain>) {
    black_box(fetched(factor));
    for (place, &digit) in factor.digits.0.iter().enumerate() {
        if digit != 0 {
            add_entry(sum, factor.table.entry(place, digit), digit < 0);
        }
    }
}

/// Reads a number from every line of the cache that the sum will need, so that all of them are
/// under way at once: between two tokens others use the cache.
fn fetched(factor: &Factor<'_, Plain>) -> u64 {
    let digits = factor.digits.0.iter().enumerate();
    let numbers = digits
        .filter(|(_, digit)| **digit != 0)
        .map(|(place, &digit)| {
            let entry = factor.table.entry(place, digit);
            entry.y_plus_x.0[0] ^ entry.y_minus_x.0[3] ^ entry.xy2d.0[4]
        });
    numbers.fold(0, |all, number| all ^ number)
}

/// The entry of −P is that of P with the first two exchanged and the third negated.
#[inline]
fn add_entry(sum: &mut Point, entry: &Entry, negative: bool) {
    let (plus, minus) = match negative {
        false => (&entry.y_plus_x, &entry.y_minus_x),
        true => (&entry.y_minus_x, &entry.y_plus_x),
    };
    let a = sum.y.minus(&sum.x).times(minus);
    let b = sum.y.plus(&sum.x).times(plus);
    let c = sum.t.times(&entry.xy2d);
    let d = sum.z.plus(&sum.z);
    let (less, more) = (d.minus(&c), d.plus(&c));
    match negative {
        false => sum.set_from_halves(&a, &b, &less, &more),
        true => sum.set_from_halves(&a, &b, &more, &less),
    }
}
