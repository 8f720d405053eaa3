//! Builds everything that is delivered twice, in two folders with names of different lengths, and
//! compares every byte.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::edge;
use crate::process;
use crate::release;
use crate::setup::{self, Toolbox};
use crate::ui;
use crate::workspace::Workspace;

/// Builds, compares, and removes what was built: gigabytes.
pub fn prove(workspace: &Workspace, _: &Toolbox) -> Result<Vec<String>> {
    let toolbox = setup::ensure(workspace, edge::TOOLS)?;
    let place = workspace.target.join("reproducible");
    remove(&place)?;
    let first = build(workspace, &toolbox, &place.join("a"))?;
    let second = build(workspace, &toolbox, &place.join("another-folder"))?;
    let mut figures = Vec::new();
    let mut differing = Vec::new();
    for ((name, one), (_, other)) in first.iter().zip(&second) {
        if one == other {
            figures.push(format!("{name}: the same twice, {}…", &one[..16]));
        } else {
            differing.push(name.as_str());
        }
    }
    ensure!(
        differing.is_empty(),
        "not the same twice: {}; both are in {}",
        differing.join(", "),
        place.display()
    );
    remove(&place)?;
    Ok(figures)
}

fn build(workspace: &Workspace, toolbox: &Toolbox, root: &Path) -> Result<Vec<(String, String)>> {
    ui::heading("copy", &root.display().to_string());
    copy(workspace, root)?;
    let copied = Workspace {
        root: root.to_owned(),
        target: root.join("target"),
        tools: workspace.tools.clone(),
    };
    let sums = release::build(&copied, toolbox, &root.join("dist"))?;
    // What is left of a build is needed no more; the files that are compared stay.
    remove(&copied.target)?;
    Ok(sums)
}

/// The files that Git knows, as they are now; what was installed is shared.
fn copy(workspace: &Workspace, root: &Path) -> Result<()> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z"]).current_dir(&workspace.root);
    for file in process::capture(&mut list)?.split_terminator('\0') {
        let (from, to) = (workspace.root.join(file), root.join(file));
        if !from.is_file() {
            continue;
        }
        let folder = to.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::copy(&from, &to).with_context(|| to.display().to_string())?;
    }
    for installed in ["node_modules", ".tools"] {
        let to = root.join(installed);
        symlink(workspace.root.join(installed), &to).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| folder.display().to_string()),
        false => Ok(()),
    }
}
