//! Handlers that do nothing, behind the issuer's own middleware: `bench/limit`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::server::start_listening;
use crate::process;
use crate::workspace::{Workspace, cargo};

/// Builds issuer and handlers as the issuer is released, at once, so that both are made alike.
pub fn build(workspace: &Workspace) -> Result<(PathBuf, PathBuf)> {
    let mut command = cargo();
    command
        .args(["build", "--release", "--workspace"])
        .args(["--bin", "tollgate", "--bin", "bench-limit"])
        .current_dir(&workspace.root);
    process::run_quietly("issuer, empty handlers", "built for release", &mut command)?;
    let release = workspace.target.join("release");
    Ok((release.join("tollgate"), release.join("bench-limit")))
}

/// The running handlers, stopped when dropped.
pub struct Limit {
    child: Child,
    /// Where they answer.
    pub url: String,
}

impl Limit {
    /// Starts them on a free port, and waits until they listen.
    pub fn start(workspace: &Workspace, program: &Path) -> Result<Self> {
        let log = workspace.target.join("bench-limit.log");
        let mut command = Command::new(program);
        let (child, url) = start_listening(&mut command, &log)?;
        let limit = Self { child, url };
        let began = Instant::now();
        while TcpStream::connect(limit.url.trim_start_matches("http://")).is_err() {
            if began.elapsed() > START_WITHIN {
                bail!("the empty handlers do not listen, see {}", log.display());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(limit)
    }

    /// The process.
    pub fn process(&self) -> &Child {
        &self.child
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // Both fail only when they have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const START_WITHIN: Duration = Duration::from_secs(20);
