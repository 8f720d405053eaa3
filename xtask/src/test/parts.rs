//! The parts and how the tests of each are run.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::count::Count;
use crate::chaos;
use crate::dev;
use crate::edge;
use crate::embedded_server;
use crate::fuzz;
use crate::issuer;
use crate::process;
use crate::setup::Toolbox;
use crate::tour;
use crate::wasm;
use crate::workspace::{Workspace, cargo};

/// One part of the project and its tests.
pub struct Part {
    /// What the table calls it.
    pub name: &'static str,
    /// What it proves.
    pub reason: &'static str,
    /// Runs its tests. An error means that they could not be run.
    pub run: fn(&Workspace, &Toolbox) -> Result<Count>,
}

/// All of them, the quickest to fail first.
pub const PARTS: &[Part] = &[
    Part {
        name: "Rust, native",
        reason: "unit and integration tests of every crate, against a real PostgreSQL",
        run: native,
    },
    Part {
        name: "Rust, examples in docs",
        reason: "the examples in the documentation run",
        run: docs,
    },
    Part {
        name: "edge worker in workerd",
        reason: "the worker as it is deployed, asked over HTTP",
        run: edge_worker,
    },
    Part {
        name: "npm package",
        reason: "the packed tarball in Node, workerd and a browser",
        run: npm_package,
    },
    Part {
        name: "signatures in V8",
        reason: "the fast arithmetic against the library, and that planted faults are found",
        run: fuzz::in_v8,
    },
    Part {
        name: "passkeys and purchases in a browser",
        reason: "Chromium against the issuer as it is run: a virtual authenticator, a click on `pay`",
        run: passkeys,
    },
    Part {
        name: "mail server",
        reason: "a real SMTP server that demands STARTTLS, refuses once and goes away",
        run: mail_server,
    },
    Part {
        name: "deployment",
        reason: "what docs/operations.md types, metrics against promtool, alerts, dashboards, deploy/",
        run: deployment,
    },
    Part {
        name: "faults under load",
        reason: "lines are cut and processes killed; afterwards everything acknowledged is there, once",
        run: faults,
    },
    Part {
        name: "README example",
        reason: "the tour prints what the README shows",
        run: readme,
    },
];

fn native(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    let mut command = cargo();
    toolbox.equip(&mut command);
    command.current_dir(&workspace.root);
    let nextest = process::succeeds(cargo().args(["nextest", "--version"]));
    let read: fn(&str) -> Option<Count> = if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        Count::from_nextest
    } else {
        // Slower, because one test program runs after the other; nothing has to be compiled for it.
        command.args([
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]);
        Count::from_cargo
    };
    run_cargo(command, read)
}

fn docs(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    let mut command = cargo();
    toolbox.equip(&mut command);
    command
        .args(["test", "--workspace", "--doc", "--no-fail-fast"])
        .current_dir(&workspace.root);
    run_cargo(command, Count::from_cargo)
}

fn run_cargo(mut command: Command, read: fn(&str) -> Option<Count>) -> Result<Count> {
    let mut total = Count::default();
    let status = process::run_shown(&mut command, |line| {
        if let Some(count) = read(line) {
            total += count;
        }
    })?;
    if !status.success() && total.failed == 0 {
        bail!("{} failed ({status})", process::shown(&command));
    }
    Ok(total)
}

fn edge_worker(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    issuer::build(workspace)?;
    edge::build(workspace, toolbox)?;
    check_types(workspace, toolbox, "edge-verifier")?;
    node(
        workspace,
        toolbox,
        "edge-worker",
        &["edge-verifier/test/*.test.mjs"],
    )
}

fn npm_package(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    wasm::pack(workspace, toolbox)?;
    check_types(workspace, toolbox, "wasm-pkg")?;
    let patterns = [
        "wasm-pkg/test/**/*.test.mjs",
        "wasm-pkg/packaging-tests/**/*.test.mjs",
    ];
    node(workspace, toolbox, "npm-package", &patterns)
}

fn passkeys(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    issuer::build(workspace)?;
    node(
        workspace,
        toolbox,
        "passkeys",
        &["issuer/tests/browser/*.test.mjs"],
    )
}

/// The script says each thing that it proves.
fn mail_server(workspace: &Workspace, _toolbox: &Toolbox) -> Result<Count> {
    issuer::build(workspace)?;
    let mut command = Command::new(workspace.root.join("issuer/tests/smtp/run"));
    command
        .arg(issuer::program(workspace))
        .env("ONLY", "delivery");
    let mut count = Count::default();
    let status = process::run_shown(&mut command, |line| {
        if line.starts_with("ok  ") {
            count.ran += 1;
        }
    })?;
    if !status.success() {
        count.ran += 1;
        count.failed += 1;
    }
    Ok(count)
}

fn deployment(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    issuer::build(workspace)?;
    node(
        workspace,
        toolbox,
        "deployment",
        &["deploy/tests/*.test.mjs"],
    )
}

fn faults(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    chaos::run_with(workspace, toolbox, &chaos::Options::quick())?;
    Ok(Count {
        ran: 1,
        failed: 0,
        skipped: 0,
    })
}

/// On data of its own: what a person tried in `.tollgate` is none of the test's business.
fn readme(workspace: &Workspace, _toolbox: &Toolbox) -> Result<Count> {
    let data_dir = workspace.target.join("tour-data");
    embedded_server::remove(&data_dir)?;
    dev::run(
        workspace,
        &data_dir,
        dev::Then::Tour(tour::Output::CheckReadme),
    )?;
    Ok(Count {
        ran: 1,
        failed: 0,
        skipped: 0,
    })
}

/// The JavaScript is checked against its types before it runs.
fn check_types(workspace: &Workspace, toolbox: &Toolbox, package: &str) -> Result<()> {
    let mut command = toolbox.command("npm");
    command
        .args(["run", "--silent", "check"])
        .current_dir(workspace.root.join(package));
    process::run_quietly(package, "types agree", &mut command)
}

/// Runs Node's own test runner: readable on the terminal, counted from a file.
fn node(workspace: &Workspace, toolbox: &Toolbox, name: &str, patterns: &[&str]) -> Result<Count> {
    let report = workspace.target.join(format!("{name}.tap"));
    let mut command = toolbox.command("node");
    command
        .arg("--test")
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout"])
        .args(["--test-reporter=tap", "--test-reporter-destination"])
        .arg(&report)
        .args(patterns)
        .env("TOLLGATE_BIN", issuer::program(workspace))
        .env(
            "XTASK_BIN",
            std::env::current_exe().context("finding this program")?,
        )
        .current_dir(&workspace.root);
    let status = process::run_shown(&mut command, |_| ())?;
    let text = fs::read_to_string(&report).with_context(|| report.display().to_string())?;
    let count = Count::from_tap(&text);
    if !status.success() && count.failed == 0 {
        bail!("{} failed ({status})", process::shown(&command));
    }
    Ok(count)
}
