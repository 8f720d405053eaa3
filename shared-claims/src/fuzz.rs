//! Long searches for what tests might have missed. `cargo xtask fuzz` runs them from seeds it
//! prints; the tests run the beginning of each.

use alloc::string::String;

pub use crate::kernel::differential::{Case, of_one_key};
pub use crate::random::Random;

/// One search.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Looks at so many cases from a seed; the error describes a finding.
    pub run: fn(seed: u64, n_cases: usize) -> Result<Tally, String>,
}

/// How many cases were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// All.
    pub n_cases: usize,
    /// Those that were accepted: none would mean that nothing was tried.
    pub n_accepted: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, accepted: bool) {
        self.n_cases += 1;
        self.n_accepted += usize::from(accepted);
    }
}

/// All searches.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "signatures-plain",
        run: crate::kernel::fuzz_targets::SIGNATURES_PLAIN,
    },
    Target {
        name: "signatures-lanes",
        run: crate::kernel::fuzz_targets::SIGNATURES_LANES,
    },
    Target {
        name: "equations-plain",
        run: crate::kernel::fuzz_targets::EQUATIONS_PLAIN,
    },
    Target {
        name: "equations-lanes",
        run: crate::kernel::fuzz_targets::EQUATIONS_LANES,
    },
    Target {
        name: "json",
        run: crate::json::fuzz::texts,
    },
];
