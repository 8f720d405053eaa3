//! From a Rust crate to an optimized WebAssembly module with its bindings.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::release;
use crate::setup::Toolbox;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// What to build and where to leave it.
pub struct Module {
    /// The crate.
    pub package: &'static str,
    /// The feature to build it with, in place of the default ones.
    pub feature: &'static str,
    /// The cargo profile: also the folder cargo builds in.
    pub profile: &'static str,
    /// The folder for the results, relative to the checkout.
    pub folder: &'static str,
    /// What the results are called.
    pub name: &'static str,
    /// How the bindings are made.
    pub bindings: &'static [&'static str],
    /// What `wasm-opt` aims at: `-O3` for speed, `-Oz` for size.
    pub goal: &'static str,
    /// The engines it is for.
    pub engine: Engine,
}

/// What an engine has to understand.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub enum Engine {
    /// What rustc uses by default for this target since 1.87.
    Any,
    /// Relaxed SIMD besides, for the arithmetic of signatures: workerd, Node 22, browsers.
    RelaxedSimd,
}

impl Engine {
    /// What is inlined by default makes a module larger and no faster.
    fn rust_flags(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[],
            Self::RelaxedSimd => &[
                "-Ctarget-feature=+simd128,+relaxed-simd",
                "-Cllvm-args=-inline-threshold=20",
            ],
        }
    }

    /// The same for the tools of binaryen.
    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[],
            Self::RelaxedSimd => &["--enable-simd", "--enable-relaxed-simd"],
        }
    }
}

/// Builds `<folder>/<name>.js` and `<folder>/<name>_bg.wasm`.
pub fn build(workspace: &Workspace, toolbox: &Toolbox, module: &Module) -> Result<()> {
    let what = format!("{} ({})", module.package, module.feature);
    let compiled = compile(workspace, module, &what)?;
    let folder = workspace.root.join(module.folder);
    let stamp = folder.join(format!("{}.built-from", module.name));
    let origin = origin(workspace, module, &compiled)?;
    let wasm = folder.join(format!("{}_bg.wasm", module.name));
    if wasm.exists() && fs::read_to_string(&stamp).is_ok_and(|built_from| built_from == origin) {
        ui::line(&what, "up to date");
        return Ok(());
    }
    let mut bind = toolbox.wasm_bindgen()?;
    bind.arg(compiled)
        .args(["--target", "web", "--out-name", module.name, "--out-dir"])
        .arg(&folder)
        .args(module.bindings);
    process::capture(&mut bind)?;
    optimize(workspace, toolbox, module, &what, &wasm)?;
    fs::write(&stamp, origin).with_context(|| format!("writing {}", stamp.display()))
}

/// Everything that decides what bindings and optimization make of the compiled module.
fn origin(workspace: &Workspace, module: &Module, compiled: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let bytes = fs::read(compiled).with_context(|| format!("reading {}", compiled.display()))?;
    (bytes, module.bindings, module.goal, module.engine, FEATURES).hash(&mut hasher);
    workspace.locked_version("wasm-bindgen")?.hash(&mut hasher);
    workspace.read("package-lock.json")?.hash(&mut hasher);
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// Builds `@tollgate/verifier` by its own script and leaves the packed tarball in `wasm-pkg`.
pub fn pack(workspace: &Workspace, toolbox: &Toolbox) -> Result<()> {
    let mut command = toolbox.command("npm");
    command
        .args(["run", "--silent", "pack:tarball"])
        .env("CARGO_TARGET_DIR", &workspace.target)
        .current_dir(workspace.root.join("wasm-pkg"));
    process::run_quietly("@tollgate/verifier", "built and packed", &mut command)
}

fn compile(workspace: &Workspace, module: &Module, what: &str) -> Result<PathBuf> {
    let mut flags = release::remapped(workspace)?;
    flags.extend(module.engine.rust_flags().iter().map(ToString::to_string));
    let mut command = cargo();
    command
        .args([
            "rustc",
            "--package",
            module.package,
            "--lib",
            // With the `rlib` of the native tests beside it, nothing is optimized across crates.
            "--crate-type",
            "cdylib",
            "--profile",
            module.profile,
            "--target",
            TARGET,
        ])
        .args([
            "--no-default-features",
            "--features",
            module.feature,
            "--config",
        ])
        // A list of texts is written in TOML as in JSON.
        .arg(format!(
            "target.{TARGET}.rustflags={}",
            serde_json::to_string(&flags)?
        ))
        .current_dir(&workspace.root);
    process::run_quietly(what, "compiled to WebAssembly", &mut command)?;
    let file = format!("{}.wasm", module.package.replace('-', "_"));
    Ok(workspace
        .target
        .join(TARGET)
        .join(module.profile)
        .join(file))
}

fn optimize(
    workspace: &Workspace,
    toolbox: &Toolbox,
    module: &Module,
    what: &str,
    wasm: &Path,
) -> Result<()> {
    let before = size_kb(wasm)?;
    let mut command = toolbox.command("node");
    command
        .arg("node_modules/binaryen/bin/wasm-opt")
        .arg(module.goal)
        .args(FEATURES)
        .args(module.engine.features())
        .arg(wasm)
        .arg("-o")
        .arg(wasm)
        .current_dir(&workspace.root);
    process::run_quietly(what, "optimized", &mut command)?;
    let after = size_kb(wasm)?;
    ui::line(what, &format!("{after} KB, {before} KB before"));
    Ok(())
}

fn size_kb(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file)
        .with_context(|| file.display().to_string())?
        .len()
        / 1024)
}

const TARGET: &str = "wasm32-unknown-unknown";
/// What rustc uses by default for this target since 1.87, all of it in every runtime we support.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];
