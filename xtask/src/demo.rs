//! Builds the backend of a development system: `xtask/demo`.

use std::path::PathBuf;

use anyhow::Result;

use crate::process;
use crate::workspace::{Workspace, cargo};

/// Builds it, as part of the workspace like [`crate::issuer::build`] and for the same reason.
pub fn build(workspace: &Workspace) -> Result<()> {
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--bin", "demo-backend"])
        .current_dir(&workspace.root);
    process::run_quietly("demo backend", "built", &mut command)
}

/// Where the built program is.
pub fn program(workspace: &Workspace) -> PathBuf {
    workspace.target.join("debug/demo-backend")
}
