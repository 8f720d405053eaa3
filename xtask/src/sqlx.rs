//! `cargo xtask sqlx`: keeps `.sqlx`, what the database says about every checked query, so that
//! building needs no database. Only the library's queries are checked: tests ask with plain strings.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::embedded_server;
use crate::process;
use crate::setup::{self, Tool};
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// Whether to bring the files up to date or only to compare them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Write what differs.
    Write,
    /// Fail when anything differs.
    Check,
}

impl Mode {
    /// Which libraries the compiler looks at. Checking shares the dependencies of the rest of the
    /// pipeline; writing must work while other crates are broken.
    fn selection(self) -> &'static [&'static str] {
        match self {
            Self::Write => &["--package", "issuer"],
            Self::Check => &["--workspace"],
        }
    }
}

/// Asks a freshly migrated database about every query of the issuer.
pub fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    let toolbox = setup::ensure(workspace, &[Tool::Node, Tool::Postgres])?;
    ui::heading(
        "queries",
        "asks a freshly migrated database about every checked query",
    );
    let fresh = workspace.target.join("sqlx-fresh");
    recreate(&fresh)?;
    // Cargo does not know that these depend on the database and on which migrations there are.
    for file in ["issuer/src/lib.rs", "xtask/src/with_scratch_database.rs"] {
        touch(&workspace.root.join(file))?;
    }
    let runner = build_runner(workspace)?;
    let mut command = Command::new(runner);
    command
        .arg(embedded_server::of_tests(workspace))
        .args(["cargo", "check", "--lib"])
        .args(mode.selection())
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &fresh)
        .current_dir(&workspace.root);
    toolbox.equip(&mut command);
    process::run_quietly("queries", "asked", &mut command)?;
    settle(&workspace.root.join(".sqlx"), &fresh, mode)
}

/// Builds the program that runs a command with a scratch database; as part of the workspace, so
/// that it shares every compiled dependency with the tests.
pub fn build_runner(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--features", "xtask/database"])
        .args(["--bin", RUNNER])
        .current_dir(&workspace.root);
    process::run_quietly("scratch database", "program built", &mut command)?;
    Ok(workspace.target.join("debug").join(RUNNER))
}

fn settle(committed: &Path, fresh: &Path, mode: Mode) -> Result<()> {
    let wanted = read_all(fresh)?;
    if wanted.is_empty() {
        bail!("the compiler asked about no query at all: has `issuer/src/lib.rs` moved?");
    }
    let changes = compare(&read_all(committed)?, &wanted);
    if changes.is_empty() {
        ui::line(".sqlx", &format!("up to date, {} queries", wanted.len()));
        return Ok(());
    }
    for change in &changes {
        println!("  {:<9} {}", change.what(), change.query());
    }
    if mode == Mode::Check {
        bail!(".sqlx differs from what the database says: run `cargo xtask sqlx` and commit .sqlx");
    }
    fs::create_dir_all(committed)?;
    for change in &changes {
        let file = committed.join(change.name());
        match change {
            Change::Write { .. } => fs::copy(fresh.join(change.name()), file).map(drop)?,
            Change::Remove { .. } => fs::remove_file(file)?,
        }
    }
    ui::line(
        ".sqlx",
        &format!("{} files changed, {} queries", changes.len(), wanted.len()),
    );
    Ok(())
}

/// What has to happen to one committed file.
#[derive(Debug, Eq, PartialEq)]
enum Change {
    Write { name: String, text: String },
    Remove { name: String, text: String },
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Self::Write { name, .. } | Self::Remove { name, .. } => name,
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Write { .. } => "new",
            Self::Remove { .. } => "not used",
        }
    }

    /// The beginning of the query, for people.
    fn query(&self) -> String {
        let (Self::Write { text, .. } | Self::Remove { text, .. }) = self;
        let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let query = json["query"].as_str().unwrap_or("(unreadable)");
        let words: Vec<_> = query.split_whitespace().collect();
        words.join(" ").chars().take(QUERY_WIDTH).collect()
    }
}

type Files = BTreeMap<String, String>;

fn compare(committed: &Files, wanted: &Files) -> Vec<Change> {
    let stale = committed
        .iter()
        .filter(|(name, _)| !wanted.contains_key(*name));
    let fresh = wanted
        .iter()
        .filter(|(name, text)| committed.get(*name) != Some(text));
    let owned = |(name, text): (&String, &String)| (name.clone(), text.clone());
    stale
        .map(owned)
        .map(|(name, text)| Change::Remove { name, text })
        .chain(
            fresh
                .map(owned)
                .map(|(name, text)| Change::Write { name, text }),
        )
        .collect()
}

fn read_all(folder: &Path) -> Result<Files> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let json = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"));
    json.map(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok((name, text))
    })
    .collect()
}

fn recreate(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

fn touch(file: &Path) -> Result<()> {
    let file = File::options()
        .write(true)
        .open(file)
        .with_context(|| file.display().to_string())?;
    Ok(file.set_modified(SystemTime::now())?)
}

const RUNNER: &str = "with-scratch-database";
/// Fits a terminal of 80 columns beside the first word.
const QUERY_WIDTH: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn equal_folders_need_no_change() {
        let same = files(&[("a", "1"), ("b", "2")]);
        assert_eq!(compare(&same, &same), []);
    }

    #[test]
    fn new_changed_and_unused_queries_are_told_apart() {
        let committed = files(&[("changed", "1"), ("same", "2"), ("unused", "3")]);
        let wanted = files(&[("changed", "9"), ("new", "4"), ("same", "2")]);
        let changes = compare(&committed, &wanted);
        let told: Vec<_> = changes.iter().map(|c| (c.what(), c.name())).collect();
        assert_eq!(
            told,
            [("not used", "unused"), ("new", "changed"), ("new", "new")]
        );
    }
}
