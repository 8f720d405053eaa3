//! The npm package against jose, in workerd, Node and a browser. `bench/verify` measures.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::figures::{Figure, Goal};
use super::plot;
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
    let measured = workspace.target.join("bench-verify-wasm.json");
    let mut command = toolbox.command("node");
    command
        .arg("bench/verify/main.mjs")
        .env("BENCH_FIGURES", &measured)
        .current_dir(&workspace.root);
    let status = process::run_shown(&mut command, |_| ())?;
    plot::write(workspace, "verify-wasm", &read(&fs::read(&measured)?)?)?;
    if status.success() {
        return Ok(());
    }
    bail!("verify-wasm failed or missed a figure");
}

/// The figures as `bench/verify` leaves them.
fn read(json: &[u8]) -> Result<Vec<Figure>> {
    let measured: Vec<Value> = serde_json::from_slice(json)?;
    let figure = |figure: &Value| {
        let ratios = figure["ratios"].as_array()?.iter().map(Value::as_u64);
        Some(Figure {
            name: figure["name"].as_str()?.to_owned(),
            ratios: ratios.collect::<Option<Vec<_>>>()?,
            goal: Goal::AtLeast(figure["goal"].as_u64()?),
        })
    };
    let figures: Option<Vec<_>> = measured.iter().map(figure).collect();
    figures.context("bench/verify leaves name, goal and ratios of each figure")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_they_are_left() {
        let json = br#"[{"name":"node, repeated","goal":900,"ratios":[890,950,990]}]"#;
        let [figure] = read(json).unwrap().try_into().ok().unwrap();
        assert_eq!(figure.ratios, [890, 950, 990]);
        assert!(read(br#"[{"name":"node","goal":900,"ratios":["x"]}]"#).is_err());
    }
}
