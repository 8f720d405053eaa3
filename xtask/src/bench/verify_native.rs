//! shared-claims against the Rust crate jsonwebtoken, by each of its back ends.
//! `bench/verify-native` measures.

use std::process::Command;

use anyhow::{Context, Result, bail};

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
    let mut lowest = u64::MAX;
    for backend in BACKENDS {
        let printed = process::capture(Command::new(&program).arg(backend))?;
        let ratios = Ratios::read(&printed)?;
        ui::line(backend, &ratios.text());
        lowest = lowest.min(ratios.median());
    }
    if lowest < GOAL {
        bail!(
            "{} times as fast, and {} is the figure to reach",
            decimal(lowest),
            decimal(GOAL)
        );
    }
    Ok(())
}

/// In thousandths, sorted.
struct Ratios(Vec<u64>);

impl Ratios {
    fn read(printed: &str) -> Result<Self> {
        let numbers: Result<Vec<u64>, _> = printed.lines().map(str::parse).collect();
        let mut numbers = numbers.context("verify-native prints numbers")?;
        numbers.sort_unstable();
        if numbers.is_empty() {
            bail!("verify-native has measured nothing");
        }
        Ok(Self(numbers))
    }

    fn median(&self) -> u64 {
        self.0[self.0.len() / 2]
    }

    fn text(&self) -> String {
        let [median, lowest, highest] =
            [self.median(), self.0[0], self.0[self.0.len() - 1]].map(decimal);
        format!("{median} times as fast ({lowest}–{highest})")
    }
}

fn decimal(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// The peer's. The faster one counts.
const BACKENDS: [&str; 2] = ["aws-lc", "rust-crypto"];
/// In thousandths, as the design asks.
const GOAL: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread_are_those_of_the_rounds() {
        let ratios = Ratios::read("2500\n1900\n2040\n").unwrap();
        assert_eq!(ratios.text(), "2.040 times as fast (1.900–2.500)");
        assert!(Ratios::read("").is_err());
        assert!(Ratios::read("x").is_err());
    }
}
