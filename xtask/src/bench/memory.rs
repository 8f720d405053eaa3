//! What the issuer keeps in memory under load, against Better Auth.

use std::time::Duration;

use anyhow::Result;

use super::figures::{Figure, Goal, conclude, decimal, ratio};
use super::pid;
use super::refresh::{Scene, TOOLS};
use super::server;
use crate::setup;
use crate::ui;
use crate::workspace::Workspace;

/// Measures after each of several rounds of the load of `refresh`, and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, TOOLS)?;
    ui::heading(
        "bench memory",
        "resident memory of the issuer and of Better Auth while they are asked for tokens",
    );
    let program = server::build(workspace)?;
    let mut scene = Scene::prepare(workspace, &toolbox, &program)?;
    let mut ratios = Vec::new();
    for number in 1..=ROUNDS {
        scene.refresh(LASTING)?;
        scene.ask(LASTING)?;
        let ours = pid::resident_kb(scene.server.process())?;
        let theirs = pid::resident_kb(scene.peer.process())?;
        let text = format!(
            "{} MB and {} MB: {}",
            ours / 1024,
            theirs / 1024,
            decimal(ratio(ours, theirs))
        );
        ui::line(&format!("round {number}"), &text);
        ratios.push(ratio(ours, theirs));
    }
    let figure = Figure {
        name: "issuer ÷ Better Auth".into(),
        ratios,
        goal: Goal::AtMost(200),
    };
    conclude(workspace, "memory", &[figure])
}

/// Odd, so that there is a median.
const ROUNDS: usize = 5;
const LASTING: Duration = Duration::from_secs(5);
