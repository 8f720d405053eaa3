//! Installs system packages where we may: as root on Debian and its relatives.

use std::process::Command;

use anyhow::Result;

use super::find_on_path;
use crate::process;

/// Installs `packages` and says whether it could; `Ok(false)` means that this machine is not one
/// where we may.
pub fn install(what: &str, packages: &[&str]) -> Result<bool> {
    if !rustix::process::geteuid().is_root() || find_on_path(&["apt-get"]).is_none() {
        return Ok(false);
    }
    let mut update = apt_get();
    process::run_quietly(what, "package lists read", update.arg("update"))?;
    let mut install = apt_get();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    process::run_quietly(what, "installed", &mut install)?;
    Ok(true)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
