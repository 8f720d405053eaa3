//! The gateway and its peers, each in a workerd of its own, on one core; everything else that is
//! running for them on the other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::traffic;
use crate::bench::pid;
use crate::bench::verify_wasm::install_peer;
use crate::edge;
use crate::process;
use crate::setup::Toolbox;
use crate::workspace::Workspace;

/// What `bench/edge/stage.mjs` has prepared and serves.
pub struct Stage {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
    workerd: PathBuf,
    /// Which key signs, counted from 1.
    generation: u64,
}

impl Stage {
    /// Builds the gateway and prepares everything. `key_ttl` are members of `issuer.jwks`.
    pub fn prepare(workspace: &Workspace, toolbox: &Toolbox, key_ttl: &str) -> Result<Self> {
        install_peer(workspace, toolbox)?;
        edge::build(workspace, toolbox)?;
        pin_ourselves()?;
        let folder = workspace.target.join("bench-edge");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let backend = traffic::start_backend()?;
        let mut child = toolbox
            .command("node")
            .arg("bench/edge/stage.mjs")
            .arg(&folder)
            .arg(format!("http://127.0.0.1:{backend}"))
            .arg(key_ttl)
            .current_dir(&workspace.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting bench/edge/stage.mjs")?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let workerd = workspace.root.join(WORKERD);
        let mut stage = Self {
            child,
            input,
            output,
            folder,
            workerd,
            generation: 1,
        };
        stage.heard()?;
        Ok(stage)
    }

    /// Requests with tokens that nobody has seen yet.
    pub fn sign(&mut self, n: usize) -> Result<Vec<traffic::Shot>> {
        let answer = self.tell(&format!("sign {n}"))?;
        let file = answer["tokens"].as_str().context("a file of tokens")?;
        traffic::shots(file.as_ref(), self.generation)
    }

    /// The next key signs from now on; the one before the last is published no more.
    pub fn rotate(&mut self) -> Result<()> {
        self.generation += 1;
        self.tell("rotate").map(drop)
    }

    /// Ends a session, visible from the next poll of the feed on.
    pub fn revoke(&mut self, session: &str) -> Result<()> {
        self.tell(&format!("revoke {session}")).map(drop)
    }

    /// Waits until the cache of the data centre holds so many answers.
    pub fn await_copies(&mut self, n: u64) -> Result<()> {
        let answer = self.tell(&format!("copies {n}"))?;
        let held = answer["copies"].as_u64().unwrap_or_default();
        ensure!(held >= n, "the cache holds {held} answers and not {n}");
        Ok(())
    }

    fn tell(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")?;
        self.heard()
    }

    fn heard(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "bench/edge/stage.mjs has ended");
        serde_json::from_str(&line).with_context(|| line.clone())
    }

    /// Starts one of those that were prepared, on the core that is measured.
    pub fn start(&self, name: &str) -> Result<Workerd> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = File::create(self.folder.join(name).join("log"))?;
        let began = Instant::now();
        let child = Command::new("taskset")
            .args(["--cpu-list", MEASURED_CORE])
            .arg(&self.workerd)
            .arg("serve")
            .arg(self.folder.join(name).join("config.capnp"))
            .arg(format!("--socket-addr=http=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting workerd")?;
        let workerd = Workerd { child, port, began };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > START_WITHIN {
                bail!("{name} does not listen, see {}", self.folder.display());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(workerd)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running workerd, stopped when dropped.
pub struct Workerd {
    child: Child,
    /// Where it answers.
    pub port: u16,
    /// When it was started.
    pub began: Instant,
}

impl Workerd {
    /// Milliseconds of processor time since it was started.
    pub fn busy_ms(&self) -> Result<u64> {
        pid::busy_ms(&self.child)
    }

    /// Resident memory.
    pub fn resident_kb(&self) -> Result<u64> {
        pid::resident_kb(&self.child)
    }
}

impl Drop for Workerd {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This process, its threads and all it will start, except where it is said otherwise.
fn pin_ourselves() -> Result<()> {
    let cores = thread::available_parallelism()?.get();
    ensure!(
        cores >= 2,
        "this takes two cores: one to measure, one for the load"
    );
    let mut command = Command::new("taskset");
    command
        .args(["--all-tasks", "--pid", "--cpu-list", OTHER_CORE])
        .arg(std::process::id().to_string());
    process::capture(&mut command).map(drop)
}

const MEASURED_CORE: &str = "0";
const OTHER_CORE: &str = "1";
const WORKERD: &str = "node_modules/@cloudflare/workerd-linux-64/bin/workerd";
const START_WITHIN: Duration = Duration::from_secs(20);
