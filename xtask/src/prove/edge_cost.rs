//! The ledger against what a gateway delivered: mixed requests, a third of which fail, then a
//! gateway that is killed under them.

use anyhow::{Result, ensure};

use crate::edge;
use crate::issuer;
use crate::process;
use crate::setup::{self, Tool, Toolbox};
use crate::workspace::Workspace;

/// Runs the tests of the ledger at the gateway at their full size.
pub fn prove(workspace: &Workspace, _toolbox: &Toolbox) -> Result<Vec<String>> {
    let tools: Vec<Tool> = edge::TOOLS
        .iter()
        .copied()
        .chain([Tool::Postgres])
        .collect();
    let toolbox = setup::ensure(workspace, &tools)?;
    issuer::build(workspace)?;
    edge::build(workspace, &toolbox)?;
    let mut command = toolbox.command("node");
    toolbox.equip(&mut command);
    command
        .args(["--test", "--test-reporter=spec"])
        .arg("edge-verifier/test/cost_ledger.test.mjs")
        .env("TOLLGATE_BIN", issuer::program(workspace))
        .env("PROVE_REQUESTS", N_REQUESTS)
        .current_dir(&workspace.root);
    let mut figures = Vec::new();
    let status = process::run_shown(&mut command, |line| {
        if let Some((_, figure)) = line.split_once("figure: ") {
            figures.push(figure.to_owned());
        }
    })?;
    ensure!(status.success(), "a test failed");
    ensure!(!figures.is_empty(), "no test said what it has proven");
    Ok(figures)
}

/// Enough for every kind of failure to meet every stage of a request many times.
const N_REQUESTS: &str = "1000";
