//! From the sums in two lanes to the encoding of their sum.

use super::{
    D, Element, N_LIMBS, ONE, Sum, balanced, carried, from_balanced, minus, pairs, plus, split,
    times,
};
use crate::kernel::inverse::inverse;
use crate::kernel::point::NoPoint;

/// Extended coordinates of one point, all tight.
pub(super) struct Coordinates {
    x: [f64; N_LIMBS],
    y: [f64; N_LIMBS],
    z: [f64; N_LIMBS],
    t: [f64; N_LIMBS],
}

impl Sum {
    /// The point in one lane.
    pub(super) fn lane(&self, lane: usize) -> Coordinates {
        let [x, y, z, t] = [&self.x, &self.y, &self.z, &self.t].map(|two| split(two)[lane]);
        Coordinates { x, y, z, t }
    }

    /// The sum of both points: the formula of [`Point::plus`], two products at a time.
    pub(super) fn across(&self) -> Coordinates {
        let (less, more) = (minus(&self.y, &self.x), plus(&self.y, &self.x));
        let [less, more, t, z] = [&less, &more, &self.t, &self.z].map(split);
        let ab = times(
            &pairs(&less[0], &more[0]),
            &carried(&pairs(&less[1], &more[1])),
        );
        let doubled = times(&pairs(&t[1], &z[1]), &pairs(&balanced(&D), &ONE));
        let cd = times(&pairs(&t[0], &z[0]), &carried(&plus(&doubled, &doubled)));
        let [[a, b], [c, d]] = [split(&ab), split(&cd)];
        let difference = |a: &_, b: &_| minus(&pairs(a, a), &pairs(b, b));
        let total = |a: &_, b: &_| plus(&pairs(a, a), &pairs(b, b));
        let (e, h) = (difference(&b, &a), total(&b, &a));
        let (f, g) = (difference(&d, &c), total(&d, &c));
        let [e, f, g, h] = [&e, &f, &g, &h].map(|two| split(two)[0]);
        let xy = times(&pairs(&e, &g), &carried(&pairs(&f, &h)));
        let zt = times(&pairs(&f, &e), &carried(&pairs(&g, &h)));
        let [[x, y], [z, t]] = [split(&xy), split(&zt)];
        Coordinates { x, y, z, t }
    }
}

/// One product in each lane.
#[inline(never)]
fn products(loose: [&[f64; N_LIMBS]; 2], tight: [&[f64; N_LIMBS]; 2]) -> [[f64; N_LIMBS]; 2] {
    split(&times(
        &pairs(loose[0], loose[1]),
        &pairs(tight[0], tight[1]),
    ))
}

impl Coordinates {
    /// What [`Point::to_bytes`](crate::kernel::point::Point::to_bytes) does, on the same conditions,
    /// two products at a time.
    pub(super) fn to_bytes(&self) -> Result<[u8; 32], NoPoint> {
        let Self { x, y, z, t } = self;
        let inverse = balanced(&inverse(&from_balanced(*z)));
        let [x_squared, y_squared] = products([x, y], [x, y]);
        let [z_squared, t_squared] = products([z, t], [z, t]);
        let [d_t_squared, one] = products([&t_squared, z], [&balanced(&D), &inverse]);
        let [xy, zt] = products([x, z], [y, t]);
        let affine = products([x, y], [&inverse, &inverse]);
        let element = |limbs: [f64; N_LIMBS]| from_balanced(limbs);
        let left = element(y_squared).minus(&element(x_squared));
        let right = element(z_squared).plus(&element(d_t_squared));
        let is_sound = element(one).equals(&Element::ONE)
            && element(xy).equals(&element(zt))
            && left.equals(&right);
        if !is_sound {
            return Err(NoPoint);
        }
        let [x, y] = affine.map(element);
        let mut bytes = y.to_bytes();
        bytes[31] |= u8::from(x.is_negative()) << 7;
        Ok(bytes)
    }
}
