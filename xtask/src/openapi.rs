//! `cargo xtask openapi`: keeps `openapi.json`, the issuer's specification, as the issuer prints it.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::issuer;
use crate::process;
use crate::ui;
use crate::workspace::Workspace;

/// Whether to write the file or only to compare it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Write it when it differs.
    Write,
    /// Fail when it differs.
    Check,
}

/// Asks the issuer for its specification.
pub fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    ui::heading(
        "openapi",
        "compares openapi.json with what the issuer says of itself",
    );
    let mut ask = Command::new(issuer::build(workspace)?);
    // The defaults, whatever this terminal was used for.
    ask.arg("openapi").env_clear().current_dir(&workspace.root);
    let printed = process::capture(&mut ask)?;
    let committed = workspace.read(FILE).unwrap_or_default();
    let Some(number) = first_difference(&committed, &printed) else {
        ui::line(FILE, "up to date");
        return Ok(());
    };
    if mode == Mode::Check {
        bail!(
            "{FILE}:{number} differs from what the issuer prints: run `cargo xtask openapi` and commit it"
        );
    }
    fs::write(workspace.root.join(FILE), printed)?;
    ui::line(FILE, &format!("changed from line {number} on"));
    Ok(())
}

/// The number of the first line that differs.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    if one == other {
        return None;
    }
    let same = one
        .lines()
        .zip(other.lines())
        .take_while(|(a, b)| a == b)
        .count();
    Some(same + 1)
}

const FILE: &str = "openapi.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_differing_line_is_numbered_from_one() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }
}
