//! The issuer as it is released, on data of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::pgbench::Database;
use crate::embedded_server;
use crate::http;
use crate::process;
use crate::setup::Toolbox;
use crate::workspace::{Workspace, cargo};

/// Builds the program as it is released.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo();
    command
        .args(["build", "--release", "--workspace", "--bin", "tollgate"])
        .current_dir(&workspace.root);
    process::run_quietly("issuer", "built for release", &mut command)?;
    Ok(workspace.target.join("release/tollgate"))
}

/// A running issuer, stopped when dropped, and its PostgreSQL with it if that is its own.
pub struct Server {
    child: Child,
    data_dir: PathBuf,
    /// Where it answers.
    pub url: String,
}

impl Server {
    /// Starts it on a free port with an empty database of its own, and waits until it is ready.
    pub fn start(workspace: &Workspace, toolbox: &Toolbox, program: &Path) -> Result<Self> {
        Self::start_on(workspace, toolbox, program, None)
    }

    /// The same on a database that exists, of the PostgreSQL of another.
    pub fn start_on(
        workspace: &Workspace,
        toolbox: &Toolbox,
        program: &Path,
        database: Option<&Database>,
    ) -> Result<Self> {
        let name = database.map_or("data", Database::name);
        let data_dir = workspace.target.join(format!("bench-{name}"));
        embedded_server::remove(&data_dir)?;
        Self::open(workspace, toolbox, program, database, data_dir)
    }

    /// Stops it and its own PostgreSQL, and starts both on the same data: for settings that need
    /// that.
    pub fn restarted(
        self,
        workspace: &Workspace,
        toolbox: &Toolbox,
        program: &Path,
    ) -> Result<Self> {
        let data_dir = self.data_dir.clone();
        drop(self);
        Self::open(workspace, toolbox, program, None, data_dir)
    }

    fn open(
        workspace: &Workspace,
        toolbox: &Toolbox,
        program: &Path,
        database: Option<&Database>,
        data_dir: PathBuf,
    ) -> Result<Self> {
        let name = database.map_or("data", Database::name);
        let log = workspace.target.join(format!("bench-issuer-{name}.log"));
        let mut command = Command::new(program);
        toolbox.equip(&mut command);
        command
            .args(["serve", "--dev"])
            .env("TOLLGATE_DATA_DIR", &data_dir)
            .env_remove("DATABASE_URL");
        if let Some(database) = database {
            command.env("DATABASE_URL", database.url());
        }
        let (child, url) = start_listening(&mut command, &log)?;
        let server = Self {
            child,
            data_dir,
            url,
        };
        let began = Instant::now();
        let ready = format!("{}/ready", server.url);
        while !http::get(&ready).is_ok_and(|answer| answer.status == 200) {
            if began.elapsed() > START_WITHIN {
                bail!("the issuer is not ready, see {}", log.display());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }
}

/// Starts a program that reads `LISTEN_ADDR` on a free port; where it will answer.
pub fn start_listening(command: &mut Command, log: &Path) -> Result<(Child, String)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let output = File::create(log)?;
    let child = command
        .env("LISTEN_ADDR", &listen)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("starting {}", process::shown(command)))?;
    Ok((child, format!("http://{listen}")))
}

impl Server {
    /// Where its database is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process.
    pub fn process(&self) -> &Child {
        &self.child
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only when the program has ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        let _ = embedded_server::stop(&self.data_dir);
    }
}

const START_WITHIN: Duration = Duration::from_secs(60);
