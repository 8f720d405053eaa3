//! Builds the issuer's program.

use std::path::PathBuf;

use anyhow::Result;

use crate::process;
use crate::workspace::{Workspace, cargo};

/// Builds `tollgate` and says where it is.
///
/// As part of the workspace, not of its own package: cargo would choose other features for the
/// dependencies and compile every one of them a second time for the tests.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--bin", "tollgate"])
        .current_dir(&workspace.root);
    process::run_quietly("issuer", "built", &mut command)?;
    Ok(program(workspace))
}

/// Where the built program is.
pub fn program(workspace: &Workspace) -> PathBuf {
    workspace.target.join("debug/tollgate")
}
