//! The issuer as it is released, on data of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

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

/// A running issuer, stopped when dropped.
pub struct Server {
    child: Child,
    data_dir: PathBuf,
    /// Where it answers.
    pub url: String,
}

impl Server {
    /// Starts it on a free port with an empty database, and waits until it is ready.
    pub fn start(workspace: &Workspace, toolbox: &Toolbox, program: &Path) -> Result<Self> {
        let data_dir = workspace.target.join("bench-data");
        embedded_server::remove(&data_dir)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let log = workspace.target.join("bench-issuer.log");
        let mut command = Command::new(program);
        toolbox.equip(&mut command);
        let child = command
            .args(["serve", "--dev"])
            .env("TOLLGATE_DATA_DIR", &data_dir)
            .env("LISTEN_ADDR", &listen)
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::create(&log)?)
            .spawn()
            .context("starting the issuer")?;
        let server = Self {
            child,
            data_dir,
            url: format!("http://{listen}"),
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

impl Server {
    /// Where its database is.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
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
