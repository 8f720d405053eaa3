//! Finds the tools a command needs and installs those that are missing.
//!
//! Tools for this checkout go into `.tools` and `node_modules`; only PostgreSQL, Redis, PgBouncer,
//! HAProxy, Prometheus, Chromium and Node itself are ever installed for the whole machine, and only by root with `apt-get`.

mod apt;
mod better_auth;
mod chromium;
mod deployment;
mod haproxy;
mod node;
mod pgbouncer;
mod postgres;
mod redis;
mod rust;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::ui;
use crate::workspace::Workspace;
pub use node::extra_packages;

/// What a command may need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tool {
    /// `rustfmt` and `clippy`.
    RustComponents,
    /// Rust's standard library for WebAssembly.
    WasmTarget,
    /// The program that makes JavaScript bindings, of the version in `Cargo.lock`.
    WasmBindgen,
    /// A Node that wrangler runs on.
    Node,
    /// The npm packages of `package-lock.json`.
    NpmPackages,
    /// The database server.
    Postgres,
    /// A browser for the tests of the npm package.
    Chromium,
    /// The server that issuers share limits through, for the tests of that.
    Redis,
    /// What the files for operators are tested with: Prometheus, `PgBouncer`, readers of their formats.
    Deployment,
    /// The npm package whose databases are imported, for the test of that, and a peer of benchmarks.
    BetterAuth,
    /// Connection poolers, an old one and a new one, for the tests of pooling.
    PgBouncer,
    /// A load balancer, for the proof of rolling restarts.
    Haproxy,
}

/// What building and running all of it takes, tests aside.
pub const TO_RUN: &[Tool] = &[
    Tool::WasmTarget,
    Tool::WasmBindgen,
    Tool::Node,
    Tool::NpmPackages,
    Tool::Postgres,
];

/// Everything.
pub const ALL: &[Tool] = &[
    Tool::RustComponents,
    Tool::WasmTarget,
    Tool::WasmBindgen,
    Tool::Node,
    Tool::NpmPackages,
    Tool::Postgres,
    Tool::Chromium,
    Tool::Redis,
    Tool::Deployment,
    Tool::BetterAuth,
    Tool::PgBouncer,
];

/// Where the tools are that do not lie on the `PATH`.
#[derive(Debug, Default)]
pub struct Toolbox {
    wasm_bindgen: Option<PathBuf>,
    node_folder: Option<PathBuf>,
    postgres_folder: Option<PathBuf>,
    chromium: Option<PathBuf>,
}

impl Toolbox {
    /// A command that finds our tools before the system's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.equip(&mut command);
        command
    }

    /// Gives a command our tools.
    pub fn equip(&self, command: &mut Command) {
        if let Some(folder) = &self.node_folder {
            command.env("PATH", path_with(folder.clone()));
        }
        if let Some(folder) = &self.postgres_folder {
            command.env("TOLLGATE_POSTGRES_BIN", folder);
        }
        if let Some(program) = &self.chromium {
            command.env("CHROMIUM_BIN", program);
        }
        // Neither asks a person nor talks to anybody outside.
        command
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    }

    /// The `wasm-bindgen` program; [`Tool::WasmBindgen`] must have been asked for.
    pub fn wasm_bindgen(&self) -> Result<Command> {
        self.wasm_bindgen
            .as_ref()
            .map(Command::new)
            .context("wasm-bindgen was not set up")
    }
}

/// Makes sure that `tools` are there; prints one line for each.
pub fn ensure(workspace: &Workspace, tools: &[Tool]) -> Result<Toolbox> {
    ui::heading(
        "setup",
        "finds what the next steps need and installs what is missing",
    );
    let _lock = lock(workspace)?;
    let mut toolbox = Toolbox::default();
    for tool in tools {
        match tool {
            Tool::RustComponents => rust::components()?,
            Tool::WasmTarget => rust::wasm_target()?,
            Tool::WasmBindgen => toolbox.wasm_bindgen = Some(rust::wasm_bindgen(workspace)?),
            Tool::Node => toolbox.node_folder = node::runtime(workspace)?,
            Tool::NpmPackages => node::packages(workspace, &toolbox)?,
            Tool::Postgres => toolbox.postgres_folder = postgres::server(workspace, &toolbox)?,
            Tool::Chromium => toolbox.chromium = Some(chromium::browser()?),
            Tool::Redis => redis::server()?,
            Tool::Deployment => deployment::tools(workspace, &toolbox)?,
            Tool::BetterAuth => better_auth::package(workspace, &toolbox)?,
            Tool::PgBouncer => pgbouncer::poolers(workspace)?,
            Tool::Haproxy => haproxy::balancer()?,
        }
    }
    Ok(toolbox)
}

/// Two commands at once must not install the same thing into the same place.
fn lock(workspace: &Workspace) -> Result<File> {
    fs::create_dir_all(&workspace.tools)?;
    let path = workspace.tools.join("setup.lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    if file.try_lock().is_err() {
        ui::line("another setup", "is running; waiting for it");
        file.lock()?;
    }
    Ok(file)
}

/// The caller's `PATH` with `folder` in front.
fn path_with(folder: PathBuf) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder).chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or(path)
}

/// The first of `names` on the `PATH`.
fn find_on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    let candidates = names
        .iter()
        .flat_map(|name| folders.iter().map(move |f| f.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}
