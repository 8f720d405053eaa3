//! The programs of a development system: how each is started and when it is ready.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::edge_service;
use super::interrupt::Interrupt;
use super::service::Service;
use crate::demo;
use crate::edge;
use crate::embedded_server;
use crate::http;
use crate::issuer;
use crate::setup::Toolbox;
use crate::stripe_stand_in;
use crate::ui;
use crate::workspace::Workspace;

/// Every port that is used, and by what.
pub const PORTS: [(u16, &str); 4] = [
    (3001, "the issuer"),
    (8787, "the edge worker"),
    (9000, "the demo backend"),
    (12111, "the stand-in for Stripe"),
];

/// What runs so far, in the order it was started.
pub struct Running {
    services: Vec<Service>,
    data_dir: PathBuf,
}

impl Running {
    /// Nothing yet.
    pub fn new(data_dir: &Path) -> Result<Self> {
        fs::create_dir_all(data_dir.join(LOGS))
            .with_context(|| format!("creating {}", data_dir.display()))?;
        Ok(Self {
            services: Vec::new(),
            data_dir: data_dir.to_owned(),
        })
    }

    /// Starts all of them, each when the one it needs is ready.
    pub fn start(
        &mut self,
        workspace: &Workspace,
        toolbox: &Toolbox,
        interrupt: &Interrupt,
        echo: bool,
    ) -> Result<()> {
        let logs = self.data_dir.join(LOGS);
        let commands = [
            (
                "stripe",
                stripe_command(workspace)?,
                stripe_stand_in::ADDRESS,
                "/",
            ),
            (
                "issuer",
                issuer_command(workspace, toolbox, &self.data_dir),
                http::ISSUER,
                "/ready",
            ),
            (
                "backend",
                backend_command(workspace),
                http::BACKEND,
                "/alive",
            ),
            (
                "edge",
                edge_command(workspace, toolbox, &self.data_dir)?,
                http::EDGE,
                "/.well-known/edge/status",
            ),
        ];
        for (name, mut command, address, path) in commands {
            if name == "edge" {
                let tollgate = || tollgate(workspace, toolbox, &self.data_dir);
                edge_service::ensure(&self.data_dir, tollgate)?;
            }
            self.services
                .push(Service::start(name, &mut command, &logs, echo)?);
            let service = self.services.last_mut().expect("pushed in the line above");
            let ready = || http::get(&format!("{address}{path}")).is_ok_and(|a| a.status == 200);
            service.wait_until(address, interrupt, ready)?;
        }
        Ok(())
    }

    /// Fails when one of them has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        self.services.iter_mut().try_for_each(Service::check_alive)
    }

    /// Stops the last first, so that nobody loses what it needs while it finishes.
    pub fn stop(&mut self, interrupt: &Interrupt) -> Result<()> {
        while let Some(service) = self.services.pop() {
            service.stop(PATIENCE, interrupt)?;
        }
        // The issuer stops its database itself, unless it had to be killed.
        if embedded_server::stop(&self.data_dir)? {
            ui::line("PostgreSQL", "stopped");
        }
        Ok(())
    }
}

/// The issuer's program, at work on the development system's data.
fn tollgate(workspace: &Workspace, toolbox: &Toolbox, data_dir: &Path) -> Command {
    let mut command = Command::new(issuer::program(workspace));
    toolbox.equip(&mut command);
    command
        .env("TOLLGATE_DATA_DIR", data_dir)
        // A development system is always the same one, whatever the terminal was used for before.
        .env_remove("DATABASE_URL")
        .env_remove("LISTEN_ADDR")
        .env_remove("BASE_URL")
        .current_dir(&workspace.root);
    command
}

fn issuer_command(workspace: &Workspace, toolbox: &Toolbox, data_dir: &Path) -> Command {
    let mut command = tollgate(workspace, toolbox, data_dir);
    command
        .args(["serve", "--dev"])
        .env("STRIPE_SECRET_KEY", stripe_stand_in::SECRET_KEY)
        .env("STRIPE_WEBHOOK_SECRET", stripe_stand_in::WEBHOOK_SECRET)
        .env("STRIPE_API_BASE", stripe_stand_in::ADDRESS);
    command
}

/// This very program, in a process of its own so that its output has a log like the others'.
fn stripe_command(workspace: &Workspace) -> Result<Command> {
    let program = std::env::current_exe().context("finding this program")?;
    let address = stripe_stand_in::ADDRESS.trim_start_matches("http://");
    let webhook = format!("{}/api/v1/webhooks/stripe", http::ISSUER);
    let mut command = Command::new(program);
    command
        .args(["stripe-stand-in", address, &webhook])
        .current_dir(&workspace.root);
    Ok(command)
}

fn backend_command(workspace: &Workspace) -> Command {
    let mut command = Command::new(demo::program(workspace));
    command
        .args([http::ISSUER, http::EDGE, "127.0.0.1:9000"])
        .current_dir(&workspace.root);
    command
}

fn edge_command(workspace: &Workspace, toolbox: &Toolbox, data_dir: &Path) -> Result<Command> {
    let secrets = edge::development_secrets(workspace, toolbox, data_dir)?;
    let mut command = toolbox.command("node");
    command
        .args(["node_modules/wrangler/bin/wrangler.js", "dev"])
        .args(["--local", "--ip", "127.0.0.1", "--port", "8787"])
        .args(["--show-interactive-dev-session=false", "--log-level=warn"])
        .arg("--env-file")
        .arg(secrets)
        .arg("--env-file")
        .arg(edge_service::env_file(data_dir))
        .current_dir(&workspace.root);
    Ok(command)
}

/// Each program's output, in the data directory.
const LOGS: &str = "logs";
/// Requests in flight end within seconds; whoever waits for Ctrl-C waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(8);
