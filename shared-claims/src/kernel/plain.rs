//! Adding up with 64-bit limbs: what native programs do.

use alloc::boxed::Box;

use once_cell::race::OnceBox;

use super::equation::base_table;
use super::fault::{self, Fault};
use super::field::Element;
use super::point::{D, Point, from_halves};
use super::table::{Engine, Factor, Table};

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

    fn entry(x: &Element, y: &Element) -> Entry {
        let xyd = x.times(y).times(&D);
        Entry {
            y_plus_x: y.plus(x).tightened(),
            y_minus_x: y.minus(x).tightened(),
            xy2d: xyd.plus(&xyd).tightened(),
        }
    }

    fn sum(base: Factor<'_, Self>, key: Factor<'_, Self>) -> Point {
        let mut sum = Point::IDENTITY;
        if !fault::is_planted(Fault::BaseLaneDropped) {
            add(&mut sum, &base);
        }
        if !fault::is_planted(Fault::KeyLaneDropped) {
            add(&mut sum, &key);
        }
        sum
    }

    fn works() -> bool {
        true
    }
}

fn add(sum: &mut Point, factor: &Factor<'_, Plain>) {
    for (place, &digit) in factor.digits.0.iter().enumerate() {
        if digit != 0 {
            *sum = plus_entry(sum, factor.table.entry(place, digit), digit < 0);
        }
    }
}

/// The entry of −P is that of P with the first two exchanged and the third negated.
#[inline]
fn plus_entry(sum: &Point, entry: &Entry, negative: bool) -> Point {
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
        false => from_halves(&a, &b, &less, &more),
        true => from_halves(&a, &b, &more, &less),
    }
}
