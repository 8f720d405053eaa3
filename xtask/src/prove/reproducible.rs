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
    let copies = [
        copy(workspace, &place.join("a"))?,
        copy(workspace, &place.join("another-folder"))?,
    ];
    let (mut figures, mut differing) = (Vec::new(), Vec::new());
    for part in release::PARTS {
        let [first, second] = build_twice(&copies, &toolbox, part)?;
        for ((name, one), (_, other)) in first.into_iter().zip(second) {
            let verdict = match one == other {
                true => format!("{name}: the same twice, {}…", &one[..16]),
                false => format!("{name}: NOT the same"),
            };
            ui::line("compared", &verdict);
            figures.push(verdict);
            if one != other {
                differing.push(name);
            }
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

type Sums = Vec<(String, String)>;

fn build_twice(
    copies: &[Workspace; 2],
    toolbox: &Toolbox,
    part: release::Part,
) -> Result<[Sums; 2]> {
    let build = |copied: &Workspace| {
        ui::heading("build", &copied.root.display().to_string());
        let sums = release::build(copied, toolbox, part, &copied.root.join("dist"))?;
        // What is left of a build is needed no more; the files that are compared stay.
        remove(&copied.target)?;
        Ok::<_, anyhow::Error>(sums)
    };
    Ok([build(&copies[0])?, build(&copies[1])?])
}

/// The files that Git knows, as they are now; what was installed is shared.
fn copy(workspace: &Workspace, root: &Path) -> Result<Workspace> {
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
    Ok(Workspace {
        root: root.to_owned(),
        target: root.join("target"),
        tools: workspace.tools.clone(),
    })
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| folder.display().to_string()),
        false => Ok(()),
    }
}
