//! `cargo xtask bench`: what is reached, each figure as a ratio to something measured in alternation
//! with it, on the real program.

mod better_auth;
mod chains;
mod crowd;
pub mod edge;
mod figures;
mod growth;
mod jwks;
mod limit;
mod load;
mod login;
mod memory;
pub mod pgbench;
mod pid;
mod plot;
mod refresh;
pub mod server;
mod spend;
mod validate;
mod verify_native;
mod verify_wasm;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

type Benchmark = fn(&Workspace) -> Result<()>;

const BENCHMARKS: [(&str, Benchmark); 11] = [
    ("cold", edge::cold::run),
    ("edge", edge::run),
    ("growth", growth::run),
    ("jwks", jwks::run),
    ("login", login::run),
    ("memory", memory::run),
    ("refresh", refresh::run),
    ("use", spend::run),
    ("validate", validate::run),
    ("verify-native", verify_native::run),
    ("verify-wasm", verify_wasm::run),
];

/// Runs the benchmarks of these names, or all; fails when one does not reach its figure.
pub fn run(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let known = |name: &&str| BENCHMARKS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no benchmark {unknown}; there are: {}",
            all.join(", ")
        );
    }
    let chosen = BENCHMARKS
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(name));
    let mut missed = Vec::new();
    for (name, benchmark) in chosen {
        if let Err(error) = benchmark(workspace) {
            eprintln!("error: {error:#}");
            missed.push(*name);
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => bail!("missed by: {}", missed.join(", ")),
    }
}
