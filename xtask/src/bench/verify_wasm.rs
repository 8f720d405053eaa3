//! The npm package against jose, in workerd, Node and a browser. `bench/verify` measures.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::{self, Tool, Toolbox};
use crate::ui;
use crate::wasm;
use crate::workspace::Workspace;

/// Measures in alternation and compares.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, TOOLS)?;
    ui::heading(
        "bench verify-wasm",
        "the npm package against jose in the same runtime",
    );
    install_peer(workspace, &toolbox)?;
    wasm::pack(workspace, &toolbox)?;
    let mut command = toolbox.command("node");
    command
        .arg("bench/verify/main.mjs")
        .current_dir(&workspace.root);
    let status = process::run_shown(&mut command, |_| ())?;
    if status.success() {
        return Ok(());
    }
    bail!("verify-wasm failed or missed a figure");
}

/// Puts jose into `.tools`, unless exactly the locked packages are there already.
pub fn install_peer(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let wanted = workspace.read("xtask/verify-bench/package-lock.json")?;
    let stamp = workspace.tools.join("verify-bench/.installed-for");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        ui::line("jose", "as in its package-lock.json");
        return Ok(());
    }
    setup::extra_packages(workspace, "verify-bench", "jose", toolbox)?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

const TOOLS: &[Tool] = &[
    Tool::WasmTarget,
    Tool::WasmBindgen,
    Tool::Node,
    Tool::NpmPackages,
    Tool::Chromium,
];
