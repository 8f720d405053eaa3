//! The tools that only this command needs: compiled into `.tools`, of exactly these versions.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// A cargo tool.
pub struct CargoTool {
    package: &'static str,
    version: &'static str,
}

/// Licences, bans, sources, advisories.
pub const DENY: CargoTool = CargoTool {
    package: "cargo-deny",
    version: "0.20.2",
};
/// Unused dependencies.
pub const MACHETE: CargoTool = CargoTool {
    package: "cargo-machete",
    version: "0.9.2",
};
/// Bills of materials.
pub const CYCLONEDX: CargoTool = CargoTool {
    package: "cargo-cyclonedx",
    version: "0.5.9",
};

/// Where the program is; compiled when it is not there.
pub fn ensure(workspace: &Workspace, tool: &CargoTool) -> Result<PathBuf> {
    let program = workspace.tools.join("bin").join(tool.package);
    let stamp = workspace.tools.join(format!("{}.version", tool.package));
    let installed = std::fs::read_to_string(&stamp).unwrap_or_default();
    if program.is_file() && installed == tool.version {
        ui::line(tool.package, &format!("{} present", tool.version));
        return Ok(program);
    }
    let mut command = cargo();
    command
        .args(["install", "--locked", "--force", "--version", tool.version])
        // Runs for a moment: building it fast is worth more.
        .args(["--debug", tool.package, "--root"])
        .arg(&workspace.tools)
        .env_remove("CARGO_TARGET_DIR");
    process::run_quietly(tool.package, "compiled and installed", &mut command)?;
    std::fs::write(&stamp, tool.version).with_context(|| stamp.display().to_string())?;
    Ok(program)
}

/// The caller's `PATH` with the tool's folder in front: cargo looks there for what it calls.
pub fn path_with(program: &Path) -> Result<OsString> {
    let folder = program
        .parent()
        .context("a program lies in a folder")?
        .to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(
        std::iter::once(folder).chain(std::env::split_paths(&path)),
    )?)
}

/// Whether cargo-deny has fetched its database on this machine before.
pub fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    home.is_some_and(|home| home.join("advisory-dbs").is_dir())
}
