//! `cargo xtask edge …`: builds the edge worker and looks at its configuration.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::{self, Tool, Toolbox};
use crate::ui;
use crate::wasm::{self, Engine, Module};
use crate::workspace::Workspace;

/// Builds the tool that checks `edge.toml` and the module that `entry.mjs` loads.
pub fn build(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    wasm::build(workspace, toolbox, &CHECKER)?;
    wasm::build(workspace, toolbox, &WORKER)
}

/// The secrets of a development system's edge, as a file for wrangler. They are made once and kept
/// with the other data, readable by their owner alone.
pub fn development_secrets(
    workspace: &Workspace,
    toolbox: &Toolbox,
    data_dir: &Path,
) -> Result<PathBuf> {
    let file = data_dir.join("edge.env");
    if file.exists() {
        return Ok(file);
    }
    let mut command = toolbox.command("node");
    command
        .args(["edge-verifier/tools/check.mjs", "key"])
        .current_dir(&workspace.root);
    let key = process::capture(&mut command)?;
    fs::create_dir_all(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| writeln!(file, "EDGE_SIGNING_KEY={}", key.trim()))
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Runs one of the subcommands.
pub fn run(workspace: &Workspace, data_dir: &Path, args: &[&str]) -> Result<()> {
    let toolbox = setup::ensure(workspace, TOOLS)?;
    ui::heading("build", "compiles the edge worker");
    build(workspace, &toolbox)?;
    match args {
        ["build"] => Ok(()),
        ["check", rest @ ..] => tool(workspace, &toolbox, rest),
        ["explain", _, _] | ["key"] => tool(workspace, &toolbox, args),
        ["dev"] => {
            let secrets = development_secrets(workspace, &toolbox, data_dir)?;
            wrangler(workspace, &toolbox, &secrets)
        }
        _ => bail!("usage: cargo xtask edge build | check | explain METHOD URL | key | dev"),
    }
}

/// The tool that is shipped with the worker and that its deployment runs too.
fn tool(workspace: &Workspace, toolbox: &Toolbox, args: &[&str]) -> Result<()> {
    let mut command = toolbox.command("node");
    command
        .arg("edge-verifier/tools/check.mjs")
        .args(args)
        .current_dir(&workspace.root);
    finish(&mut command)
}

fn wrangler(workspace: &Workspace, toolbox: &Toolbox, secrets: &Path) -> Result<()> {
    let mut command = toolbox.command("node");
    command
        .args([
            "node_modules/wrangler/bin/wrangler.js",
            "dev",
            "--local",
            "--ip",
            "127.0.0.1",
            "--env-file",
        ])
        .arg(secrets)
        .current_dir(&workspace.root);
    finish(&mut command)
}

/// The command speaks for itself; only whether it succeeded is left to say.
fn finish(command: &mut std::process::Command) -> Result<()> {
    let status = process::run_shown(command, |_| ())?;
    if status.success() {
        return Ok(());
    }
    bail!("{} failed ({status})", process::shown(command))
}

/// What building the worker takes.
pub const TOOLS: &[Tool] = &[
    Tool::WasmTarget,
    Tool::WasmBindgen,
    Tool::Node,
    Tool::NpmPackages,
];
/// Carries no Workers bindings and therefore runs in Node.
const CHECKER: Module = Module {
    package: "edge-verifier",
    feature: "tool",
    profile: "edge-tool",
    folder: FOLDER,
    name: "tool",
    bindings: &["--no-typescript"],
    goal: "-Oz",
    engine: Engine::Any,
};
/// Carries no TOML; can be replaced by a fresh instance after a trap. Its types are what
/// `entry.mjs` is checked against. More optimization than this makes the arithmetic of signatures
/// slower.
const WORKER: Module = Module {
    package: "edge-verifier",
    feature: "worker",
    profile: "edge",
    folder: FOLDER,
    name: "edge",
    bindings: &[
        "--omit-default-module-path",
        "--experimental-reset-state-function",
    ],
    goal: "-O1",
    engine: Engine::RelaxedSimd,
};
const FOLDER: &str = "edge-verifier/build";
