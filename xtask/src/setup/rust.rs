//! Rust's own parts, and the one cargo tool we use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::find_on_path;
use crate::process;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// `cargo fmt` and `cargo clippy`.
pub fn components() -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if process::succeeds(cargo().args([subcommand, "--version"])) {
            ui::line(component, "present");
            continue;
        }
        require_rustup(component)?;
        let mut add = Command::new("rustup");
        add.args(["component", "add", component]);
        process::run_quietly(component, "installed", &mut add)?;
    }
    Ok(())
}

/// The standard library for `wasm32-unknown-unknown`.
pub fn wasm_target() -> Result<()> {
    let what = "wasm32 target";
    if has_wasm_target() {
        ui::line(what, "present");
        return Ok(());
    }
    require_rustup(what)?;
    let mut add = Command::new("rustup");
    add.args(["target", "add", WASM_TARGET]);
    process::run_quietly(what, "installed", &mut add)?;
    if has_wasm_target() {
        Ok(())
    } else {
        bail!("rustup installed {WASM_TARGET} for another toolchain than the one cargo uses here")
    }
}

/// The `wasm-bindgen` program. Its version must be exactly that of the library, or it refuses.
pub fn wasm_bindgen(workspace: &Workspace) -> Result<PathBuf> {
    let version = workspace.locked_version("wasm-bindgen")?;
    let own = workspace.tools.join("bin/wasm-bindgen");
    let candidates = [Some(own.clone()), find_on_path(&["wasm-bindgen"])];
    let present = candidates
        .into_iter()
        .flatten()
        .find(|program| has_version(program, &version));
    if let Some(program) = present {
        ui::line("wasm-bindgen", &format!("{version} present"));
        return Ok(program);
    }
    install_wasm_bindgen(workspace, &version)?;
    Ok(own)
}

fn install_wasm_bindgen(workspace: &Workspace, version: &str) -> Result<()> {
    // Newer dependencies first: the package's own lock file has been seen not to build.
    let newest = process::run_quietly(
        "wasm-bindgen",
        "compiled and installed",
        &mut cargo_install(workspace, version),
    );
    let Err(error) = newest else { return Ok(()) };
    ui::line(
        "wasm-bindgen",
        "did not build with the newest dependencies; trying its own",
    );
    process::run_quietly(
        "wasm-bindgen",
        "compiled and installed",
        cargo_install(workspace, version).arg("--locked"),
    )
    .with_context(|| format!("the first attempt failed with: {error}"))
}

fn cargo_install(workspace: &Workspace, version: &str) -> Command {
    let mut command = cargo();
    command
        .args([
            "install",
            "wasm-bindgen-cli",
            "--version",
            version,
            "--root",
        ])
        .arg(&workspace.tools)
        // A debug build is done in half the time and runs for a moment per build.
        .args(["--debug", "--bin", "wasm-bindgen"])
        // In cargo's temporary folder: ours is for what the workspace itself needs.
        .env_remove("CARGO_TARGET_DIR");
    command
}

fn has_version(program: &Path, version: &str) -> bool {
    process::capture(Command::new(program).arg("--version"))
        .is_ok_and(|text| text.split_whitespace().any(|word| word == version))
}

fn has_wasm_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    process::capture(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn require_rustup(what: &str) -> Result<()> {
    if find_on_path(&["rustup"]).is_some() {
        return Ok(());
    }
    bail!(
        "{what} is missing and there is no rustup to install it: install Rust by https://rustup.rs, \
         or your distribution's package for it, then run this again"
    )
}

const WASM_TARGET: &str = "wasm32-unknown-unknown";
