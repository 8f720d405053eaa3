//! `cargo xtask fuzz`: long searches for what the tests might have missed, natively and in V8.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::{self, Tool, Toolbox};
use crate::test::Count;
use crate::ui;
use crate::workspace::{Workspace, cargo};

/// Runs every search, each for its part of the time, from a seed that is new and printed.
pub fn run(workspace: &Workspace, minutes: &str) -> Result<()> {
    let minutes: u64 = minutes
        .parse()
        .with_context(|| format!("{minutes} is no number of minutes"))?;
    let toolbox = setup::ensure(workspace, TOOLS)?;
    let searches = Searches::build(workspace, &toolbox)?;
    let listed = process::capture(Command::new(&searches.native).arg("list"))?;
    let names: Vec<_> = listed.lines().collect();
    let share = Duration::from_secs(minutes * 60) / u32::try_from(names.len() + 1)?;
    let seed = UNIX_EPOCH.elapsed()?.as_secs();
    ui::heading("fuzz", "each search for its part of the time");
    for name in names {
        searches.search(name, seed, share)?;
    }
    let began = Instant::now();
    for seed in seed.. {
        searches.compare_in_v8(seed)?;
        if began.elapsed() >= share {
            break;
        }
    }
    Ok(())
}

/// The part of the tests, alone.
pub fn quick(workspace: &Workspace) -> Result<()> {
    let toolbox = setup::ensure(workspace, TOOLS)?;
    let count = in_v8(workspace, &toolbox)?;
    if count.failed > 0 {
        bail!("{} of {} failed", count.failed, count.ran);
    }
    Ok(())
}

/// What runs with every change: one comparison in V8, and that each planted fault is found.
pub fn in_v8(workspace: &Workspace, toolbox: &Toolbox) -> Result<Count> {
    let searches = Searches::build(workspace, toolbox)?;
    let mut count = Count::default();
    let mut note = |result: Result<()>| {
        count.ran += 1;
        if let Err(error) = result {
            count.failed += 1;
            ui::line("failed", &format!("{error:#}"));
        }
    };
    note(searches.compare_in_v8(CI_SEED));
    let planted = build_module(workspace, toolbox, &searches.folder, PLANTED)?;
    for (number, fault) in FAULTS {
        note(searches.find_planted(&planted, number, fault));
    }
    Ok(count)
}

/// What is needed to search.
struct Searches<'a> {
    toolbox: &'a Toolbox,
    workspace: &'a Workspace,
    folder: PathBuf,
    native: PathBuf,
    module: PathBuf,
}

impl<'a> Searches<'a> {
    fn build(workspace: &'a Workspace, toolbox: &'a Toolbox) -> Result<Self> {
        // With debug assertions, which check the bounds of every limb.
        let mut command = cargo();
        command
            .args(["build", "--package", "shared-claims", "--features", "fuzz"])
            .args(["--bin", "fuzz"])
            .current_dir(&workspace.root);
        process::run_quietly("searches", "built", &mut command)?;
        let folder = workspace.target.join("fuzz");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            native: workspace.target.join("debug/fuzz"),
            module: build_module(workspace, toolbox, &folder, FAST)?,
            toolbox,
            workspace,
            folder,
        })
    }

    fn search(&self, name: &str, seed: u64, lasting: Duration) -> Result<()> {
        let mut command = Command::new(&self.native);
        command.args([
            "run",
            name,
            &seed.to_string(),
            &lasting.as_secs().to_string(),
        ]);
        let status = process::run_shown(&mut command, |_| ())?;
        if status.success() {
            return Ok(());
        }
        bail!("{name} has found something");
    }

    fn compare_in_v8(&self, seed: u64) -> Result<()> {
        let cases = self.write_cases(seed)?;
        let said = process::capture_from(&mut self.differential(&self.module), &cases)
            .with_context(|| format!("signatures in V8, seed {seed}"))?;
        ui::line("signatures in V8", &format!("seed {seed}: {}", said.trim()));
        Ok(())
    }

    fn find_planted(&self, module: &Path, number: u32, fault: &str) -> Result<()> {
        let cases = self.write_cases(CI_SEED)?;
        let mut command = self.differential(module);
        command.arg(number.to_string());
        let said = process::capture_from(&mut command, &cases)
            .with_context(|| format!("planted: {fault}"))?;
        ui::line("planted fault", &format!("{fault}: {}", said.trim()));
        Ok(())
    }

    fn differential(&self, module: &Path) -> Command {
        let mut command = self.toolbox.command("node");
        command
            .arg("wasm-pkg/fuzz/differential.mjs")
            .arg(module)
            .current_dir(&self.workspace.root);
        command
    }

    fn write_cases(&self, seed: u64) -> Result<PathBuf> {
        let file = self.folder.join("cases.bin");
        let out = File::create(&file).with_context(|| file.display().to_string())?;
        let status = Command::new(&self.native)
            .args(["cases", &seed.to_string(), &N_CASES.to_string()])
            .stdin(Stdio::null())
            .stdout(out)
            .status()?;
        if status.success() {
            return Ok(file);
        }
        bail!("no cases could be made from seed {seed}");
    }
}

fn build_module(
    workspace: &Workspace,
    toolbox: &Toolbox,
    folder: &Path,
    name: &str,
) -> Result<PathBuf> {
    let file = folder.join(name);
    let mut command = toolbox.command("node");
    command
        .arg("wasm-pkg/scripts/wasm.mjs")
        .arg(name)
        .arg(&file)
        .env("CARGO_TARGET_DIR", &workspace.target)
        .current_dir(&workspace.root);
    process::run_quietly(name, "built", &mut command)?;
    Ok(file)
}

const TOOLS: &[Tool] = &[
    Tool::WasmTarget,
    Tool::WasmBindgen,
    Tool::Node,
    Tool::NpmPackages,
];
const FAST: &str = "verifier.fast.wasm";
const PLANTED: &str = "verifier.planted.wasm";

/// By their numbers in `shared_claims::kernel::fault`. The first is of the plain arithmetic, which
/// makes no verdict in this module: native tests look for it.
const FAULTS: [(u32, &str); 4] = [
    (2, "a carry lost in the lanes"),
    (3, "the key's lane dropped"),
    (4, "the base point's lane dropped"),
    (5, "nothing compared"),
];

/// Enough for a fault that shows once in 2^16 products.
const N_CASES: usize = 50_000;
const CI_SEED: u64 = 1;
