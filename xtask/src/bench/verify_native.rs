//! shared-claims against the Rust crate jsonwebtoken, by each of its back ends.
//! `bench/verify-native` measures.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::figures::{Figure, Goal, conclude};
use crate::process;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    ui::heading(
        "bench verify-native",
        "shared-claims against jsonwebtoken, same tokens and checks",
    );
    let target = workspace.target.join("bench");
    let mut command = cargo();
    command
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg("bench/verify-native/Cargo.toml")
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&workspace.root);
    process::run_quietly("verify-native", "built", &mut command)?;
    let program = target.join("release/verify-native");
    let mut figures = Vec::new();
    for backend in BACKENDS {
        figures.push(Figure {
            name: format!("shared-claims ÷ jsonwebtoken by {backend}"),
            ratios: read(&process::capture(Command::new(&program).arg(backend))?)?,
            goal: Goal::AtLeast(GOAL),
        });
    }
    conclude(workspace, "verify-native", &figures)
}

/// One ratio a round, in thousandths.
fn read(printed: &str) -> Result<Vec<u64>> {
    let ratios: Result<Vec<u64>, _> = printed.lines().map(str::parse).collect();
    let ratios = ratios.context("verify-native prints numbers")?;
    ensure!(!ratios.is_empty(), "verify-native has measured nothing");
    Ok(ratios)
}

/// The peer's. The faster one counts.
const BACKENDS: [&str; 2] = ["aws-lc", "rust-crypto"];
/// In thousandths, as the design asks.
const GOAL: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_a_ratio_a_round() {
        assert_eq!(read("2500\n1900\n2040\n").unwrap(), [2500, 1900, 2040]);
        assert!(read("").is_err());
        assert!(read("x").is_err());
    }
}
