//! Where things are: the checkout, cargo's target folder, the tools installed for this checkout.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The folders that every command works with.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The top of the checkout.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// Tools that are installed for this checkout only.
    pub tools: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and configuration files count.
    pub fn find() -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version=1", "--quiet"]);
        let text = process::capture(&mut command)?;
        let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata")?;
        let folder = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata: {key}"))
        };
        let root = folder("workspace_root")?;
        Ok(Self {
            target: folder("target_directory")?,
            tools: root.join(".tools"),
            root,
        })
    }

    /// The version of `package` in `Cargo.lock`.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let lock = self.read("Cargo.lock")?;
        find_version(&lock, package)
            .map(str::to_owned)
            .with_context(|| format!("Cargo.lock has no package {package}"))
    }

    /// Reads a file of the checkout.
    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.root.join(file);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }
}

/// The cargo that runs us, so that a toolchain chosen by the caller is kept.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Queries are checked against the committed `.sqlx`, whatever database the caller works with.
    command
        .env("SQLX_OFFLINE", "true")
        .env_remove("DATABASE_URL");
    command
}

/// In a lock file each package is a `[[package]]` table that begins with name and version.
fn find_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"worker-macros\"\nversion = \"0.8.6\"\n\n\
        [[package]]\nname = \"worker\"\nversion = \"0.8.7\"\nsource = \"registry\"\n";

    #[test]
    fn version_is_found_by_the_whole_name() {
        assert_eq!(find_version(LOCK, "worker"), Some("0.8.7"));
        assert_eq!(find_version(LOCK, "worker-macros"), Some("0.8.6"));
    }

    #[test]
    fn absent_package_has_no_version() {
        assert_eq!(find_version(LOCK, "work"), None);
        assert_eq!(find_version("", "worker"), None);
    }
}
