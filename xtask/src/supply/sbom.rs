//! Bills of materials, in the form of `CycloneDX`: `target/sbom`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::tools;
use crate::process;
use crate::setup::Toolbox;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// One for each crate that is delivered, and one for the npm package.
pub fn write(workspace: &Workspace, toolbox: &Toolbox, cyclonedx: &Path) -> Result<()> {
    let folder = workspace.target.join("sbom");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut command = cargo();
    command
        .env("PATH", tools::path_with(cyclonedx)?)
        // The same text for the same source: no time and no random number in it.
        .env("SOURCE_DATE_EPOCH", "0")
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5"])
        .args(["--override-filename", FILE_STEM, "--quiet"])
        .current_dir(&workspace.root);
    process::run_quietly("crates", "described", &mut command)?;
    let all = written_beside(workspace);
    let taken = take(workspace, &folder);
    for stray in all {
        fs::remove_file(&stray).with_context(|| stray.display().to_string())?;
    }
    taken?;
    npm(workspace, toolbox, &folder)
}

/// The tool leaves a file beside each manifest of the workspace.
fn written_beside(workspace: &Workspace) -> Vec<PathBuf> {
    let places = [
        "edge-verifier",
        "issuer",
        "shared-claims",
        "wasm-pkg",
        "xtask",
        "xtask/demo",
    ];
    let files = places.map(|place| workspace.root.join(place).join(format!("{FILE_STEM}.json")));
    files.into_iter().filter(|file| file.is_file()).collect()
}

fn take(workspace: &Workspace, folder: &Path) -> Result<()> {
    for (package, name) in DELIVERED {
        let written = workspace
            .root
            .join(package)
            .join(format!("{FILE_STEM}.json"));
        let text = fs::read_to_string(&written).with_context(|| written.display().to_string())?;
        let bill: Value = serde_json::from_str(&text).context(name)?;
        let n = check(&bill, "pkg:cargo/").with_context(|| name.to_owned())?;
        let missing = missing(workspace, package, &bill)?;
        ensure!(
            missing.is_empty(),
            "{name} does not name {}",
            missing.join(", ")
        );
        keep(folder, name, &bill, n)?;
    }
    Ok(())
}

/// What goes into the program and is not in its bill.
fn missing(workspace: &Workspace, package: &str, bill: &Value) -> Result<Vec<String>> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal",
    ])
    .args(["--prefix", "none", "--format", "{p}"])
    .current_dir(&workspace.root);
    let tree = process::capture(&mut tree)?;
    let used: BTreeSet<String> = tree.lines().filter_map(named).collect();
    let components = bill["components"].as_array().into_iter().flatten();
    let listed: BTreeSet<String> = components
        .filter_map(|part| {
            Some(format!(
                "{} {}",
                part["name"].as_str()?,
                part["version"].as_str()?
            ))
        })
        .collect();
    let own = |name: &String| name.starts_with(&format!("{package} "));
    Ok(used
        .into_iter()
        .filter(|name| !listed.contains(name) && !own(name))
        .collect())
}

/// `serde v1.0.0 (proc-macro)` → `serde 1.0.0`.
fn named(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(format!("{name} {version}"))
}

/// A bill says what form it has, and names each part with its address in the registry.
fn check(bill: &Value, scheme: &str) -> Result<usize> {
    ensure!(bill["bomFormat"] == "CycloneDX", "it is not CycloneDX");
    ensure!(bill["specVersion"] == "1.5", "it is not of version 1.5");
    ensure!(
        bill["metadata"]["component"]["name"].is_string(),
        "it does not say of what it is"
    );
    let parts = bill["components"].as_array().context("it names no parts")?;
    for part in parts {
        let purl = part["purl"].as_str().unwrap_or_default();
        ensure!(
            purl.starts_with(scheme) && part["version"].is_string(),
            "{} has no version or address",
            part["name"]
        );
    }
    Ok(parts.len())
}

fn npm(workspace: &Workspace, toolbox: &Toolbox, folder: &Path) -> Result<()> {
    let mut command = toolbox.command("npm");
    // In the package's own folder: npm describes nothing without a version, and the workspace has none.
    command
        .args(["sbom", "--sbom-format=cyclonedx", "--omit=dev"])
        .arg("--workspaces=false")
        .current_dir(workspace.root.join("wasm-pkg"));
    let mut bill: Value =
        serde_json::from_str(&process::capture(&mut command)?).context("npm sbom")?;
    // The same text for the same source.
    if let Some(top) = bill.as_object_mut() {
        top.remove("serialNumber");
    }
    if let Some(metadata) = bill["metadata"].as_object_mut() {
        metadata.remove("timestamp");
    }
    let n = check(&bill, "pkg:npm/").context("npm sbom")?;
    keep(folder, "npm-verifier", &bill, n)
}

fn keep(folder: &Path, name: &str, bill: &Value, n: usize) -> Result<()> {
    let file = folder.join(format!("{name}.cdx.json"));
    fs::write(&file, serde_json::to_string_pretty(bill)?)
        .with_context(|| file.display().to_string())?;
    ui::line(name, &format!("{n} parts"));
    Ok(())
}

const FILE_STEM: &str = "tollgate-sbom.cdx";
/// Crates, and what their bill is called.
const DELIVERED: [(&str, &str); 4] = [
    ("issuer", "tollgate"),
    ("edge-verifier", "edge-verifier"),
    ("shared-claims", "shared-claims"),
    ("wasm-pkg", "npm-verifier-wasm"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bill_without_form_or_addresses_is_refused() {
        let good = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.5",
            "metadata": {"component": {"name": "tollgate"}},
            "components": [{"name": "serde", "version": "1.0.0", "purl": "pkg:cargo/serde@1.0.0"}],
        });
        assert_eq!(check(&good, "pkg:cargo/").expect("valid"), 1);
        for (pointer, value) in [
            ("/bomFormat", json!("SPDX")),
            ("/specVersion", json!("1.2")),
            ("/metadata/component/name", Value::Null),
            ("/components/0/purl", json!("serde")),
            ("/components/0/version", Value::Null),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).expect("it is there") = value;
            assert!(check(&bad, "pkg:cargo/").is_err(), "{pointer}");
        }
    }

    #[test]
    fn line_of_the_tree_is_a_name_and_a_version() {
        assert_eq!(
            named("serde v1.0.0 (proc-macro)").as_deref(),
            Some("serde 1.0.0")
        );
        assert_eq!(named("").as_deref(), None);
    }
}
