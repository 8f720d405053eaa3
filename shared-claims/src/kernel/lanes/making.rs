//! The entries of a table, those of two places at a time.

use alloc::vec::Vec;

use super::{
    D, Element, Entry, HALF, N_MULTIPLES, ONE, Point, Sum, Two, balanced, from_balanced, minus,
    pairs, plus, split, times,
};
use crate::kernel::inverse::inverse;

/// Appends the multiples of one point and then those of the other, if there is one. `None` when the
/// arithmetic goes wrong.
pub(super) fn append_multiples(
    first: &Point,
    second: Option<&Point>,
    entries: &mut Vec<Entry>,
) -> Option<()> {
    let points = [*first, *second.unwrap_or(first)];
    let constants = [&HALF, &D].map(|element| both(&[*element; 2]));
    let points = Sum {
        x: both(&points.map(|point| point.x)),
        y: both(&points.map(|point| point.y)),
        z: both(&points.map(|point| point.z)),
        t: both(&points.map(|point| point.t)),
    };
    let bases = points.entries(&inverses(&points.z)?, &constants);
    let mut sum = Sum::of((&bases[0], false), (&bases[1], false));
    // Each with the product of Z of all before it.
    let mut sums = Vec::with_capacity(N_MULTIPLES);
    let mut product = pairs(&ONE, &ONE);
    for _ in 0..N_MULTIPLES {
        sums.push((sum, product));
        product = times(&product, &sum.z);
        sum.add((&bases[0], false), (&bases[1], false));
    }
    let at = entries.len();
    entries.resize(at + 2 * N_MULTIPLES, bases[0]);
    let mut rest = inverses(&product)?;
    for (i, (sum, so_far)) in sums.iter().enumerate().rev() {
        let inverse = times(&rest, so_far);
        rest = times(&rest, &sum.z);
        [entries[at + i], entries[at + N_MULTIPLES + i]] = sum.entries(&inverse, &constants);
    }
    if second.is_none() {
        entries.truncate(at + N_MULTIPLES);
    }
    Some(())
}

/// The inverses of both, multiplied with what they invert.
fn inverses(two: &Two) -> Option<Two> {
    let elements = split(two).map(from_balanced);
    let inverses = elements.map(|element| inverse(&element));
    let is_right = |i: usize| elements[i].times(&inverses[i]).equals(&Element::ONE);
    (is_right(0) && is_right(1)).then(|| both(&inverses))
}

fn both(elements: &[Element; 2]) -> Two {
    let [first, second] = elements.each_ref().map(balanced);
    pairs(&first, &second)
}

impl Sum {
    /// As entries, given 1/Z, 1/2 and d.
    fn entries(&self, inverse: &Two, [half, d]: &[Two; 2]) -> [Entry; 2] {
        let [x, y, t] = [&self.x, &self.y, &self.t].map(|coordinate| times(coordinate, inverse));
        let [pluses, minuses, xyds] = [
            times(&plus(&y, &x), half),
            times(&minus(&y, &x), half),
            times(&t, d),
        ]
        .map(|two| split(&two));
        [0, 1].map(|lane| Entry {
            plus: pluses[lane],
            minus: minuses[lane],
            xyd: xyds[lane],
        })
    }
}
