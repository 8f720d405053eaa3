//! `cargo xtask supply`: what comes from others, and what goes out with it.
//!
//! The quick part runs with every change and needs nothing but cargo and the lock files. The whole
//! of it asks the tools that know more, and takes minutes the first time, because they are compiled.

mod crates;
mod licence;
mod npm;
mod sbom;
mod tools;

use anyhow::{Result, bail};

use crate::process;
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// Something that should not be so: which package, and what is wrong.
struct Finding {
    package: String,
    problem: String,
}

/// Licences, sources and bans of crates and npm packages, from the lock files alone.
pub fn quick(workspace: &Workspace) -> Result<()> {
    ui::heading(
        "supply chain",
        "compares every dependency with deny.toml, and npm's lock files with the same rules",
    );
    let mut findings = crates::check(workspace)?;
    findings.extend(npm::check(workspace)?);
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        ui::line(&finding.package, &finding.problem);
    }
    bail!("{} findings about dependencies", findings.len())
}

/// The quick part, then cargo-deny and cargo-machete, then the bills of materials.
pub fn run(workspace: &Workspace) -> Result<()> {
    quick(workspace)?;
    ui::heading("tools", "compiled once, of the versions named here");
    let deny = tools::ensure(workspace, &tools::DENY)?;
    let machete = tools::ensure(workspace, &tools::MACHETE)?;
    ui::heading(
        "cargo-deny",
        "licences as they stand in the crates' files, bans, sources",
    );
    let mut checks = vec!["bans", "licenses", "sources"];
    // Its database is a Git repository, which not every machine may fetch.
    if tools::has_advisories() {
        checks.push("advisories");
    } else {
        ui::line(
            "advisories",
            "not checked: no database of them is on this machine",
        );
    }
    let mut check = cargo();
    check
        .env("PATH", tools::path_with(&deny)?)
        .args(["deny", "--locked", "check", "--hide-inclusion-graph"])
        .args(&checks)
        .current_dir(&workspace.root);
    process::run_quietly("cargo-deny", "nothing found", &mut check)?;
    ui::heading("cargo-machete", "dependencies that nothing uses");
    let mut unused = std::process::Command::new(&machete);
    unused.arg(&workspace.root).current_dir(&workspace.root);
    process::run_quietly("cargo-machete", "nothing found", &mut unused)?;
    bills(workspace)
}

/// Writes the bills of materials and checks that nothing of the lock files is missing in them.
pub fn bills(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::NpmPackages])?;
    let cyclonedx = tools::ensure(workspace, &tools::CYCLONEDX)?;
    ui::heading(
        "bills of materials",
        "CycloneDX, one for each thing that is delivered",
    );
    sbom::write(workspace, &toolbox, &cyclonedx)
}
