//! The npm package whose databases `tollgate user import` reads, and the peer of some benchmarks.

use std::fs;

use anyhow::{Context, Result};

use super::{Toolbox, node};
use crate::ui;
use crate::workspace::Workspace;

/// Installs it into `.tools/better-auth`, unless exactly the locked packages are there already.
pub fn package(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let wanted = workspace.read("xtask/better-auth/package-lock.json")?;
    let stamp = workspace.tools.join("better-auth/.installed-for");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        ui::line("Better Auth", "as in its package-lock.json");
        return Ok(());
    }
    node::extra_packages(workspace, "better-auth", "Better Auth", toolbox)?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}
