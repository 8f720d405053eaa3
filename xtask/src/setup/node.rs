//! Node and the npm packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Toolbox, apt, find_on_path};
use crate::process;
use crate::ui;
use crate::workspace::Workspace;

/// Finds a Node that is new enough; returns the folder to search first when it is not the system's.
pub fn runtime(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if find_on_path(&["npm"]).is_none() && !apt::install("Node", &["nodejs", "npm"])? {
        bail!(
            "there is no Node: install it from https://nodejs.org (22.12 or newer), then run this again"
        );
    }
    let system = version_of(Path::new("node"));
    if let Some((version, text)) = &system
        && *version >= MIN_NODE
    {
        ui::line("Node", &format!("{text} present"));
        return Ok(None);
    }
    let found = system.map_or_else(|| "none".to_owned(), |(_, text)| text);
    own_runtime(workspace, &found).map(Some)
}

/// Installs the packages of the lock file, unless exactly they are installed already.
pub fn packages(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let stamp = workspace.root.join("node_modules/.installed-for");
    let wanted = manifests(workspace)?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        ui::line("npm packages", "as in package-lock.json");
        return Ok(());
    }
    npm_ci("npm packages", &workspace.root, toolbox)?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// Installs the packages of the small manifest `xtask/<name>` into `.tools/<name>`; returns its
/// `node_modules`.
pub fn extra_packages(
    workspace: &Workspace,
    name: &str,
    what: &str,
    toolbox: &Toolbox,
) -> Result<PathBuf> {
    let target = workspace.tools.join(name);
    fs::create_dir_all(&target)?;
    for file in MANIFESTS {
        fs::copy(
            workspace.root.join("xtask").join(name).join(file),
            target.join(file),
        )
        .with_context(|| format!("copying xtask/{name}/{file}"))?;
    }
    npm_ci(what, &target, toolbox)?;
    Ok(target.join("node_modules"))
}

/// Install scripts are not run: nothing we use needs one, and they are how packages do harm.
fn npm_ci(what: &str, folder: &Path, toolbox: &Toolbox) -> Result<()> {
    let mut command = toolbox.command("npm");
    command
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder);
    process::run_quietly(what, "installed", &mut command)
}

fn own_runtime(workspace: &Workspace, found: &str) -> Result<PathBuf> {
    let modules = workspace.tools.join("node/node_modules");
    if let Some((folder, text)) = find_own(&modules) {
        ui::line(
            "Node",
            &format!("{text} present in .tools (the system's is {found})"),
        );
        return Ok(folder);
    }
    let need = format!("{}.{} or newer", MIN_NODE.0, MIN_NODE.1);
    ui::line(
        "Node",
        &format!("the system's is {found}, wrangler needs {need}; fetching one"),
    );
    extra_packages(workspace, "node", "Node", &Toolbox::default())?;
    find_own(&modules)
        .map(|(folder, _)| folder)
        .with_context(|| {
            format!(
                "npm has no Node for this kind of machine: install {need} from https://nodejs.org"
            )
        })
}

fn find_own(modules: &Path) -> Option<(PathBuf, String)> {
    let entries = fs::read_dir(modules).ok()?.filter_map(Result::ok);
    entries
        .map(|entry| entry.path().join("bin"))
        .find_map(|folder| {
            let (version, text) = version_of(&folder.join("node"))?;
            (version >= MIN_NODE).then_some((folder, text))
        })
}

fn version_of(node: &Path) -> Option<((u32, u32), String)> {
    let text = process::capture(Command::new(node).arg("--version")).ok()?;
    Some((
        parse_version(&text)?,
        text.trim().trim_start_matches('v').to_owned(),
    ))
}

/// `v24.21.0` → (24, 21).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// All that decides what is installed: the lock file and the manifests it must agree with.
fn manifests(workspace: &Workspace) -> Result<String> {
    let mut text = workspace.read("package-lock.json")? + &workspace.read("package.json")?;
    for member in NPM_MEMBERS {
        text += &workspace
            .read(&format!("{member}/package.json"))
            .unwrap_or_default();
    }
    Ok(text)
}

/// What wrangler asks for.
const MIN_NODE: (u32, u32) = (22, 12);
const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];
/// The members of the npm workspace; each has a manifest once it exists.
const NPM_MEMBERS: [&str; 3] = ["edge-verifier", "wasm-pkg", "wasm-pkg/packaging-tests"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_version_is_read_and_compared_by_number() {
        assert_eq!(parse_version("v24.21.0\n"), Some((24, 21)));
        assert_eq!(parse_version("v22.9.0"), Some((22, 9)));
        assert!(parse_version("v22.9.0").unwrap() < MIN_NODE);
        assert!(parse_version("v22.12.0").unwrap() >= MIN_NODE);
        for bad in ["", "24", "node", "v24", "vx.y"] {
            assert_eq!(parse_version(bad), None, "{bad}");
        }
    }
}
