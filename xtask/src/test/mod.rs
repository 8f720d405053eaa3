//! `cargo xtask test`: every test of every part, and a table of how many ran.

mod count;
mod parts;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::embedded_server;
use crate::setup;
use crate::ui;
use crate::workspace::Workspace;
pub use count::Count;
use parts::{PARTS, Part};

/// Runs all parts, also when one fails, so that one run tells everything.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, setup::ALL)?;
    let mut results = Vec::new();
    for part in PARTS {
        ui::heading(part.name, part.reason);
        let began = Instant::now();
        let outcome = (part.run)(workspace, &toolbox);
        results.push((part, outcome, began.elapsed()));
    }
    if embedded_server::stop(&embedded_server::of_tests(workspace))? {
        println!();
        ui::line("the tests' PostgreSQL", "stopped");
    }
    let rows = results
        .iter()
        .map(|(part, outcome, took)| row(part, outcome, &ui::seconds(*took)));
    let header = ["part", "ran", "failed", "skipped", "time"]
        .map(str::to_owned)
        .to_vec();
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    println!("\n{}", ui::table(&rows));
    conclude(&results)
}

type Outcome = (&'static Part, Result<Count>, std::time::Duration);

fn row(part: &Part, outcome: &Result<Count>, took: &str) -> Vec<String> {
    let mut cells = vec![part.name.to_owned()];
    match outcome {
        Ok(count) => cells.extend([count.ran, count.failed, count.skipped].map(|n| n.to_string())),
        Err(_) => cells.extend(["-", "did not run", "-"].map(str::to_owned)),
    }
    cells.push(took.to_owned());
    cells
}

/// A part in which nothing ran has failed too: a test that is not found proves nothing.
fn conclude(results: &[Outcome]) -> Result<()> {
    let mut bad = Vec::new();
    for (part, outcome, _) in results {
        match outcome {
            Ok(count) if count.failed > 0 => {
                bad.push(format!("{}: {} failed", part.name, count.failed));
            }
            Ok(count) if count.ran == 0 => bad.push(format!("{}: no test ran", part.name)),
            Ok(_) => {}
            Err(error) => bad.push(format!("{}: {error:#}", part.name)),
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    bail!("{}", bad.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outcome(count: Result<Count>) -> Vec<Outcome> {
        vec![(&PARTS[0], count, Duration::ZERO)]
    }

    #[test]
    fn run_without_a_failure_succeeds() {
        assert!(
            conclude(&outcome(Ok(Count {
                ran: 3,
                failed: 0,
                skipped: 1
            })))
            .is_ok()
        );
    }

    #[test]
    fn failed_test_part_that_did_not_run_and_part_without_tests_all_fail_the_run() {
        assert!(
            conclude(&outcome(Ok(Count {
                ran: 3,
                failed: 1,
                skipped: 0
            })))
            .is_err()
        );
        assert!(conclude(&outcome(Ok(Count::default()))).is_err());
        assert!(conclude(&outcome(Err(anyhow::anyhow!("no compiler")))).is_err());
    }
}
