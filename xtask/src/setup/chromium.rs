//! A browser for the tests of the npm package.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt, find_on_path};
use crate::process;
use crate::ui;

/// The browser to drive: the one named by `CHROMIUM_BIN`, or any that speaks Chrome's protocol.
pub fn browser() -> Result<PathBuf> {
    if let Some(program) = env::var_os("CHROMIUM_BIN").map(PathBuf::from) {
        let version = version_of(&program)
            .with_context(|| format!("CHROMIUM_BIN={} does not run", program.display()))?;
        ui::line("Chromium", &format!("{version} present in CHROMIUM_BIN"));
        return Ok(program);
    }
    if let Some((program, version)) = find() {
        ui::line("Chromium", &format!("{version} present"));
        return Ok(program);
    }
    if apt::install("Chromium", &["chromium"])?
        && let Some((program, _)) = find()
    {
        return Ok(program);
    }
    bail!(
        "there is no Chromium for the browser tests: install Chromium or Chrome (Debian: apt-get \
         install chromium), or set CHROMIUM_BIN to its program"
    )
}

fn find() -> Option<(PathBuf, String)> {
    let program = find_on_path(&NAMES).or_else(|| {
        APPLICATIONS
            .iter()
            .map(PathBuf::from)
            .find(|application| application.is_file())
    })?;
    let version = version_of(&program)?;
    Some((program, version))
}

/// `Chromium 142.0.7444.59 built on …` → `142.0.7444.59`.
fn version_of(program: &PathBuf) -> Option<String> {
    let text = process::capture(Command::new(program).arg("--version")).ok()?;
    text.split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Where macOS keeps them.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
