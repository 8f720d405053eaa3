//! The credential by which the edge of a development system charges for its `paid` route.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;
use crate::ui;

/// The file with the Worker's secret, made the first time by the issuer that runs. `tollgate` makes
/// a command that speaks to that issuer's database.
pub fn ensure(data_dir: &Path, tollgate: impl Fn() -> Command) -> Result<()> {
    let file = env_file(data_dir);
    if file.exists() {
        return Ok(());
    }
    // It is there when only the file was removed.
    let known = process::succeeds(tollgate().args(["app", "show", APP]));
    if !known {
        let mut create = tollgate();
        create.args(["app", "create", APP, "--name", "Demo"]);
        process::capture(&mut create)?;
    }
    let mut create = tollgate();
    create.args(["service-token", "create", "--name", "edge", "--app", APP]);
    create.args(["--scope", "credits:hold", "--json"]);
    let made: Value = serde_json::from_str(&process::capture(&mut create)?)?;
    let secret = made["secret"].as_str().context("no secret was made")?;
    write_for_owner(&file, &format!("EDGE_SERVICE_TOKEN={secret}\n"))?;
    ui::line("service token", "made, for routes that cost credits");
    Ok(())
}

/// Where the Worker's secret is, for `wrangler dev --env-file`.
pub fn env_file(data_dir: &Path) -> PathBuf {
    data_dir.join("edge-service.env")
}

fn write_for_owner(file: &Path, text: &str) -> Result<()> {
    // A file that is there half would not be made again.
    let partial = file.with_extension("partial");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options
        .open(&partial)
        .with_context(|| partial.display().to_string())?;
    opened.write_all(text.as_bytes())?;
    fs::rename(&partial, file).with_context(|| file.display().to_string())
}

/// The app of the shipped `edge.toml`.
const APP: &str = "demo";
