//! Faults that tests plant to see that they are found. In every other build there are none.

/// A slip of the kind that has been found in real arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A carry of the plain arithmetic is lost, once in 2^16 products.
    PlainCarry = 1,
    /// The same in the lanes.
    #[cfg_attr(
        not(any(test, feature = "fuzz", target_feature = "relaxed-simd")),
        expect(dead_code, reason = "this build has no lanes")
    )]
    LaneCarry,
    /// What belongs to the key is left out of the sum.
    KeyLaneDropped,
    /// What belongs to the base point is left out of the sum.
    BaseLaneDropped,
    /// Every sum is taken to be the right one.
    NothingCompared,
}

#[cfg(not(any(test, feature = "planted-faults")))]
#[inline]
pub(super) const fn is_planted(_: Fault) -> bool {
    false
}

#[cfg(any(test, feature = "planted-faults"))]
pub(crate) use planted::{is_planted, plant};

/// For each thread of a test program its own, so that tests side by side do not meet.
#[cfg(test)]
mod planted {
    extern crate std;

    use std::cell::Cell;

    use super::Fault;

    std::thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    pub(crate) fn is_planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    pub(crate) fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
    }
}

/// For a WebAssembly module built to be found wrong.
#[cfg(all(feature = "planted-faults", not(test)))]
mod planted {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Fault;

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    pub(crate) fn is_planted(fault: Fault) -> bool {
        PLANTED.load(Ordering::Relaxed) == fault as u8
    }

    pub(crate) fn plant(fault: Option<Fault>) {
        PLANTED.store(fault.map_or(0, |fault| fault as u8), Ordering::Relaxed);
    }
}
