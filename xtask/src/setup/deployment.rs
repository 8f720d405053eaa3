//! What the files of `deploy/` and the page for operators are tested with: the servers that page
//! installs beside PostgreSQL and Redis, and npm packages that know how such files must look.

use std::fs;

use anyhow::{Context, Result, bail};

use super::{Toolbox, apt, find_on_path, node};
use crate::ui;
use crate::workspace::Workspace;

/// Makes sure that the programs are on the `PATH` and the packages in `.tools/deployment`.
pub fn tools(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        ui::line("Prometheus, PgBouncer", "present");
    } else if !apt::install("Prometheus, PgBouncer", &packages)? || !missing().is_empty() {
        bail!(
            "the page for operators is tested with programs that are not here: install {} (Debian: apt-get \
             install {})",
            packages.join(", "),
            packages.join(" ")
        );
    }
    readers(workspace, toolbox)
}

/// The packages of the programs that are not there.
fn missing() -> Vec<&'static str> {
    let absent = PROGRAMS
        .iter()
        .filter(|(program, _)| find_on_path(&[*program]).is_none());
    absent.map(|(_, package)| *package).collect()
}

/// Installs the npm packages, unless exactly the locked ones are there already.
fn readers(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let wanted = workspace.read("xtask/deployment/package-lock.json")?;
    let stamp = workspace.tools.join("deployment/.installed-for");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        ui::line("readers of deploy/", "as in their package-lock.json");
        return Ok(());
    }
    node::extra_packages(workspace, "deployment", "readers of deploy/", toolbox)?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// A program and the Debian package that has it.
const PROGRAMS: [(&str, &str); 4] = [
    ("promtool", "prometheus"),
    ("pgbouncer", "pgbouncer"),
    ("curl", "curl"),
    ("openssl", "openssl"),
];
