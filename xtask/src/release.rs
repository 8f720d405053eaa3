//! `cargo xtask release`: what is delivered, built so that whoever builds the same source with the
//! same tools gets the same bytes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::edge;
use crate::process;
use crate::setup::{self, Toolbox};
use crate::ui;
use crate::wasm;
use crate::workspace::{Workspace, cargo};

/// Builds into `target/dist`, with the sums of everything in `SHA256SUMS`.
pub fn run(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, edge::TOOLS)?;
    ui::heading(
        "release",
        "builds what is delivered; the same source gives the same bytes",
    );
    let folder = workspace.target.join("dist");
    let mut sums = Vec::new();
    for part in PARTS {
        sums.extend(build(workspace, &toolbox, part, &folder)?);
    }
    let lines: Vec<String> = sums
        .iter()
        .map(|(name, sum)| format!("{sum}  {name}\n"))
        .collect();
    let text = lines.concat();
    let file = folder.join("SHA256SUMS");
    fs::write(&file, &text).with_context(|| file.display().to_string())?;
    print!("\n{text}");
    Ok(())
}

/// What is delivered, in the order of how long it takes.
pub const PARTS: [Part; 2] = [Part::Modules, Part::Issuer];

/// Things that are built together.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The gateway's module and the npm package.
    Modules,
    /// The issuer.
    Issuer,
}

/// Builds a part into `folder`; each file with its SHA-256.
pub fn build(
    workspace: &Workspace,
    toolbox: &Toolbox,
    part: Part,
    folder: &Path,
) -> Result<Vec<(String, String)>> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let files = match part {
        Part::Modules => modules(workspace, toolbox)?,
        Part::Issuer => vec![issuer(workspace)?],
    };
    let mut sums = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .context("a file's name")?;
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let to = folder.join(name);
        fs::copy(&file, &to).with_context(|| to.display().to_string())?;
        sums.push((name.to_owned(), hex(&Sha256::digest(&bytes))?));
    }
    Ok(sums)
}

fn issuer(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--release", "--locked", "--package", "issuer"])
        .args(["--bin", "tollgate", "--target-dir"])
        .arg(&workspace.target)
        .env("CARGO_ENCODED_RUSTFLAGS", remapped(workspace)?.join("\x1f"))
        .env("CARGO_INCREMENTAL", "0")
        // The allocator's C notes when it was compiled.
        .env("SOURCE_DATE_EPOCH", "0")
        .current_dir(&workspace.root);
    process::run_quietly("tollgate", "built", &mut command)?;
    Ok(workspace.target.join("release/tollgate"))
}

fn modules(workspace: &Workspace, toolbox: &Toolbox) -> Result<Vec<PathBuf>> {
    edge::build(workspace, toolbox)?;
    wasm::pack(workspace, toolbox)?;
    let package = fs::read_dir(workspace.root.join("wasm-pkg"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "tgz"));
    let of = |file: &str| workspace.root.join(file);
    Ok(vec![
        of("edge-verifier/build/edge_bg.wasm"),
        of("edge-verifier/build/edge.js"),
        of("wasm-pkg/dist/verifier.wasm"),
        of("wasm-pkg/dist/verifier.fast.wasm"),
        package.context("wasm-pkg holds no packed package")?,
    ])
}

fn hex(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// Where this machine keeps things is told to the compiler under the same names everywhere: the paths
/// of panics end up in what it makes.
pub fn remapped(workspace: &Workspace) -> Result<Vec<String>> {
    let sysroot = process::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let places = [
        (Some(workspace.root.clone()), "/tollgate"),
        (home, "/cargo"),
        (Some(PathBuf::from(sysroot.trim())), "/rust"),
    ];
    let flags = places.into_iter().filter_map(|(place, name)| {
        Some(format!("--remap-path-prefix={}={name}", place?.to_str()?))
    });
    Ok(flags.collect())
}
