//! `cargo xtask tidy`: the rules of style that a program can check, each finding with file and line.
//!
//! What rustc and clippy check already (documentation of public items, `unwrap`) is left to them.

mod architecture;
mod environment;
mod expansion;
mod mask;
mod migrations;
mod source;
mod text;

use std::fmt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::ui;
use crate::workspace::Workspace;
use source::Source;

/// One broken rule.
#[derive(Debug, Eq, PartialEq)]
pub struct Finding {
    /// The file, relative to the checkout.
    pub file: String,
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Checks every file of the checkout that git knows or would know.
pub fn run(workspace: &Workspace) -> Result<()> {
    ui::heading("tidy", "checks the rules of style that need no judgement");
    let sources = read_sources(workspace)?;
    let mut findings: Vec<Finding> = sources.iter().flat_map(check).collect();
    findings.extend(environment::check(&sources));
    findings.extend(migrations::check(workspace, &sources)?);
    findings.extend(expansion::check(&sources));
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        ui::line("tidy", &format!("{} files, nothing to say", sources.len()));
        return Ok(());
    }
    bail!("{} findings", findings.len())
}

/// Adds migrations that are new to the list of those that may not change any more.
pub fn land_migrations(workspace: &Workspace) -> Result<()> {
    let sources = read_sources(workspace)?;
    migrations::land(workspace, &sources)
}

fn check(source: &Source) -> Vec<Finding> {
    let mut findings = text::check(source);
    if source.is_rust() {
        findings.extend(architecture::check(source));
    }
    findings
}

fn read_sources(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut command = Command::new("git");
    command
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root);
    let files = process::capture(&mut command)?;
    // A file may be listed and deleted, or not be text; neither has a style.
    let read = |file: &str| Some(Source::new(file, workspace.read(file).ok()?));
    Ok(files.lines().filter_map(read).collect())
}
