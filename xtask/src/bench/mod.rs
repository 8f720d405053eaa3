//! `cargo xtask bench`: what is reached, each figure as a ratio to something measured in alternation
//! with it, on the real program.

mod load;
mod login;
mod server;
mod verify_native;
mod verify_wasm;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Runs the benchmarks of these names, or all; fails when one does not reach its figure.
pub fn run(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let known = |name: &str| BENCHMARKS.iter().find(|(known, _)| *known == name);
    if let Some(unknown) = names.iter().find(|name| known(name).is_none()) {
        let all: Vec<_> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no benchmark {unknown}; there are: {}",
            all.join(", ")
        );
    }
    let is_wanted = |name: &str| names.is_empty() || names.contains(&name);
    let wanted = BENCHMARKS.iter().filter(|(name, _)| is_wanted(name));
    let results: Vec<_> = wanted.map(|(_, run)| run(workspace)).collect();
    results.into_iter().collect()
}

type Benchmark = fn(&Workspace) -> Result<()>;

const BENCHMARKS: [(&str, Benchmark); 3] = [
    ("login", login::run),
    ("verify-native", verify_native::run),
    ("verify-wasm", verify_wasm::run),
];
