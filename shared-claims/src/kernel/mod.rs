//! Signatures by precomputed tables, several times as fast as the library, and never trusted
//! beyond it. docs/kernel.md has the argument; these are its rules:
//!
//! 1. The library decides until a key has signed several good tokens. Only then are tables of
//!    multiples made for the key, and they have to pass canaries.
//! 2. A sum counts only if it is a point of the curve whose coordinates agree with each other.
//! 3. The library confirms the first acceptances of a key and some of those after, and refusals
//!    as long as the budget of that second lasts. When it is spent, a refusal stands.
//! 4. One contradiction turns the kernel off for as long as its verifier lives, is counted as an
//!    alarm, and the library's verdict is what is answered.
//!
//! Everything here is public: no secret is computed with, and time may depend on the values.
#![expect(
    clippy::many_single_char_names,
    reason = "the names that the formulas have in the papers"
)]

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod differential;
mod equation;
mod fault;
mod field;
mod inverse;
#[cfg(any(test, feature = "fuzz", target_feature = "relaxed-simd"))]
mod lanes;
#[cfg(any(test, feature = "fuzz", not(target_feature = "relaxed-simd")))]
mod plain;
mod point;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use once_cell::race::OnceBox;

use crate::key_set::VerifyingKey;
use crate::time::UnixTime;
use equation::{Equation, Outcome};
#[cfg(target_feature = "relaxed-simd")]
use lanes::Lanes as Selected;
#[cfg(not(target_feature = "relaxed-simd"))]
use plain::Plain as Selected;
use table::Engine;

/// The kernel of one verifier.
#[derive(Clone, Default)]
pub(crate) struct Kernel(Arc<State>);

/// Tables of one key, and how far the key has come. Belongs to the key and goes with it.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Good signatures by the library alone.
    n_by_library: AtomicU32,
    /// Good signatures by tables.
    n_by_tables: AtomicU32,
    equation: OnceBox<Option<Equation<Selected>>>,
}

/// What a verifier's fast kernel has done: numbers to watch. An alarm is worth waking somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelReport {
    /// No contradiction has turned it off.
    pub is_on: bool,
    /// Verdicts by tables.
    pub n_by_tables: u64,
    /// How many of them the library was asked to confirm.
    pub n_confirmed: u64,
    /// How often the library contradicted, or the arithmetic itself.
    pub n_alarms: u32,
}

/// The tables of one key and their verdict as it is, confirmed by nobody: for lists of test
/// vectors, and for finding differences.
#[derive(Debug)]
pub struct SignatureTables(Prepared);

#[derive(Default)]
struct State {
    is_off: AtomicBool,
    n_by_tables: AtomicU64,
    n_confirmed: AtomicU64,
    n_alarms: AtomicU32,
    /// A second, and in the low byte how many refusals were confirmed in it.
    refusals: AtomicU64,
}

impl Kernel {
    /// Whether `signature` is one of `message` by `key`. `now` bounds what refusals may cost.
    pub(crate) fn verify(
        &self,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8],
        now: UnixTime,
    ) -> bool {
        let Ok(signature) = <&[u8; 64]>::try_from(signature) else {
            return false;
        };
        if !IS_AVAILABLE {
            return key.verify(message, signature);
        }
        match self.equation_of(key) {
            None => self.verify_by_library(key, message, signature),
            Some(equation) => {
                self.0.n_by_tables.fetch_add(1, Relaxed);
                match equation.check(message, signature) {
                    Outcome::Fault => self.contradicted(key.verify(message, signature)),
                    Outcome::Valid if !key.prepared().is_acceptance_confirmed() => true,
                    Outcome::Invalid if !self.may_confirm_refusal(now) => false,
                    outcome => {
                        self.0.n_confirmed.fetch_add(1, Relaxed);
                        let verdict = key.verify(message, signature);
                        match verdict == (outcome == Outcome::Valid) {
                            true => verdict,
                            false => self.contradicted(verdict),
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn report(&self) -> KernelReport {
        let state = &self.0;
        KernelReport {
            is_on: IS_AVAILABLE && !state.is_off.load(Relaxed),
            n_by_tables: state.n_by_tables.load(Relaxed),
            n_confirmed: state.n_confirmed.load(Relaxed),
            n_alarms: state.n_alarms.load(Relaxed),
        }
    }

    /// The tables of `key`, if it has them and they may be used.
    fn equation_of<'k>(&self, key: &'k VerifyingKey) -> Option<&'k Equation<Selected>> {
        if self.0.is_off.load(Relaxed) {
            return None;
        }
        key.prepared().equation.get()?.as_ref()
    }

    /// The verdict of the library. Makes the tables when the key has signed enough to be worth it.
    fn verify_by_library(&self, key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let verdict = key.verify(message, signature);
        if verdict && !self.0.is_off.load(Relaxed) {
            let prepared = key.prepared();
            let n_before = prepared.n_by_library.fetch_add(1, Relaxed);
            if n_before.saturating_add(1) == TABLES_AFTER {
                self.prepare(key);
            }
        }
        verdict
    }

    /// A machine on which the engine does not work is no contradiction; tables that fail their
    /// canaries on one where it does are.
    fn prepare(&self, key: &VerifyingKey) {
        if Selected::base().is_none() {
            return;
        }
        let make = || Box::new(Equation::new(key.as_bytes()));
        if key.prepared().equation.get_or_init(make).is_none() {
            self.contradicted(true);
        }
    }

    fn contradicted(&self, verdict: bool) -> bool {
        self.0.is_off.store(true, Relaxed);
        self.0.n_alarms.fetch_add(1, Relaxed);
        verdict
    }

    fn may_confirm_refusal(&self, now: UnixTime) -> bool {
        let second = now.as_secs() << BITS_OF_COUNT;
        let spend = |refusals: u64| match refusals.checked_sub(second) {
            Some(count) if count < REFUSALS_A_SECOND => Some(refusals + 1),
            Some(count) if count < 1 << BITS_OF_COUNT => None,
            _ => Some(second + 1),
        };
        let refusals = &self.0.refusals;
        refusals.fetch_update(Relaxed, Relaxed, spend).is_ok()
    }
}

impl SignatureTables {
    /// `None` for what is no good key, and where there is nothing but the library.
    pub fn new(public_key: &[u8; 32]) -> Option<Self> {
        if !IS_AVAILABLE {
            return None;
        }
        VerifyingKey::from_bytes(public_key)?;
        let prepared = Prepared::default();
        let equation = Equation::new(public_key)?;
        prepared.equation.set(Box::new(Some(equation))).ok()?;
        Some(Self(prepared))
    }

    /// Whether `signature` is one of `message`; `None` when the arithmetic contradicts itself.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let Ok(signature) = <&[u8; 64]>::try_from(signature) else {
            return Some(false);
        };
        if !IS_AVAILABLE {
            return None;
        }
        match self.0.equation.get()?.as_ref()?.check(message, signature) {
            Outcome::Valid => Some(true),
            Outcome::Invalid => Some(false),
            Outcome::Fault => None,
        }
    }
}

impl Prepared {
    fn is_acceptance_confirmed(&self) -> bool {
        let n_before = self.n_by_tables.fetch_add(1, Relaxed);
        n_before < CONFIRMED_FIRST || n_before.is_multiple_of(CONFIRMED_ONE_IN)
    }
}

/// What `crate::fuzz` runs of this module.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_targets {
    use alloc::string::String;

    use super::differential::{equations, signatures};
    use super::lanes::Lanes;
    use super::plain::Plain;
    use crate::fuzz::Tally;

    type Run = fn(u64, usize) -> Result<Tally, String>;

    pub(crate) const SIGNATURES_PLAIN: Run = signatures::<Plain>;
    pub(crate) const SIGNATURES_LANES: Run = signatures::<Lanes>;
    pub(crate) const EQUATIONS_PLAIN: Run = equations::<Plain>;
    pub(crate) const EQUATIONS_LANES: Run = equations::<Lanes>;
}

/// Makes the arithmetic slip from now on, for the build that has to be found wrong. The faults
/// are numbered from 1 as they are listed; any other number plants none.
#[cfg(all(feature = "planted-faults", not(test)))]
pub fn plant_fault(number: u8) {
    use fault::Fault;
    let faults = [
        Fault::PlainCarry,
        Fault::LaneCarry,
        Fault::KeyLaneDropped,
        Fault::BaseLaneDropped,
        Fault::NothingCompared,
    ];
    fault::plant(faults.into_iter().find(|fault| *fault as u8 == number));
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report().fmt(f)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_tables = self.equation.get().is_some_and(Option::is_some);
        f.debug_struct("Prepared")
            .field("has_tables", &has_tables)
            .finish_non_exhaustive()
    }
}

/// A module for engines without relaxed SIMD carries the library only: 64-bit limbs would be
/// no faster there.
const IS_AVAILABLE: bool = cfg!(any(
    not(target_family = "wasm"),
    target_feature = "relaxed-simd"
));

/// Tables cost as much as 20 to 30 signatures by the library, so that a key that signs less
/// is not worth them.
const TABLES_AFTER: u32 = 16;

/// Costs some milliseconds for each key, once.
const CONFIRMED_FIRST: u32 = 64;

/// Costs 2 to 4 % of a verification.
const CONFIRMED_ONE_IN: u32 = 256;

/// Some three milliseconds of every second, however many forgeries come.
const REFUSALS_A_SECOND: u64 = 32;

const BITS_OF_COUNT: u32 = 8;
