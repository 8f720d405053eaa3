//! The programs that are made to fail: PostgreSQL, Redis and issuers, each a real process.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use crate::embedded_server;
use crate::setup::Toolbox;

/// A process of ours, killed when dropped.
pub struct Process(Option<Child>);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(Some(child.with_context(|| {
            format!("starting {}", crate::process::shown(command))
        })?)))
    }

    /// Sends a signal; one that has ended does not mind.
    pub fn signal(&self, signal: Signal) {
        if let Some(child) = &self.0 {
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits for its end; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.0.take()?.wait().ok()?.code()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        match &mut self.0 {
            Some(child) => child.try_wait().is_ok_and(|status| status.is_some()),
            None => true,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A PostgreSQL that keeps its promises (`fsync` is on), made and migrated by the issuer itself.
pub struct Cluster {
    process: Process,
    arguments: Vec<String>,
    folder: PathBuf,
    socket: PathBuf,
    port: String,
    owner_password: String,
    issuer_password: String,
}

impl Cluster {
    /// Makes a new one in this folder, as `serve --dev` does, and takes it over.
    pub fn start(program: &Path, toolbox: &Toolbox, data_dir: &Path) -> Result<Self> {
        embedded_server::remove(data_dir)?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(program);
        toolbox.equip(&mut command);
        command
            .args(["serve", "--dev"])
            .env("TOLLGATE_DATA_DIR", data_dir)
            .env("LISTEN_ADDR", &listen)
            .env("MASTER_KEY", super::MASTER_KEY)
            .env_remove("DATABASE_URL")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut maker = Process::start(&mut command)?;
        wait_until("the database is made", MADE_WITHIN, || {
            Client::new(&listen).is_ready()
        })?;
        maker.signal(Signal::TERM);
        ensure!(maker.wait() == Some(0), "making the database failed");
        Self::take_over(data_dir)
    }

    fn take_over(data_dir: &Path) -> Result<Self> {
        let file = data_dir.join("postgres.json");
        let record: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
        let member = |name: &str| {
            let text = record[name].as_str().map(str::to_owned);
            text.with_context(|| format!("{} has no {name}", file.display()))
        };
        let folder = PathBuf::from(member("clusterDir")?).join("data");
        let line = fs::read_to_string(folder.join("postmaster.opts"))?;
        let arguments = arguments(&line).context("postmaster.opts")?;
        let mut cluster = Self {
            process: Process(None),
            arguments,
            folder,
            socket: PathBuf::from(member("socketDir")?),
            port: PORT.into(),
            owner_password: member("ownerPassword")?,
            issuer_password: member("issuerPassword")?,
        };
        cluster.restart()?;
        Ok(cluster)
    }

    /// `kill -9` of the server: the processes it had go by themselves.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again and waits until it takes connections, after whatever it has to repair.
    pub fn restart(&mut self) -> Result<()> {
        let owner = fs::metadata(&self.folder)?;
        wait_until("PostgreSQL takes connections", STARTED_WITHIN, || {
            if self.process.has_ended() {
                // It refuses to start while processes of the one before are still there.
                let mut command = Command::new(&self.arguments[0]);
                command
                    .args(&self.arguments[1..])
                    .current_dir(&self.folder)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                if rustix::process::geteuid().is_root() {
                    command.uid(owner.uid()).gid(owner.gid());
                }
                match Process::start(&mut command) {
                    Ok(process) => self.process = process,
                    Err(_) => return false,
                }
            }
            self.takes_connections()
        })
    }

    /// A server that is still repairing answers the first message with an error.
    fn takes_connections(&self) -> bool {
        let asked = || -> Result<u8> {
            let mut stream = UnixStream::connect(self.socket_file())?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let body = b"\0\x03\0\0user\0tollgate_issuer\0database\0tollgate\0\0";
            let length = u32::try_from(body.len() + 4)?.to_be_bytes();
            stream.write_all(&[&length[..], body].concat())?;
            let mut kind = [0];
            stream.read_exact(&mut kind)?;
            Ok(kind[0])
        };
        asked().is_ok_and(|kind| kind == b'R')
    }

    /// Its socket, for a proxy.
    pub fn socket_file(&self) -> PathBuf {
        self.socket.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The owner's login, past every proxy.
    pub fn owner_url(&self) -> String {
        format!(
            "postgres://tollgate_admin:{}@localhost:{}/tollgate?host={}",
            self.owner_password,
            self.port,
            self.socket.display()
        )
    }

    /// The issuer's login, past every proxy.
    pub fn local_issuer_url(&self) -> String {
        format!(
            "postgres://tollgate_issuer:{}@localhost:{}/tollgate?host={}",
            self.issuer_password,
            self.port,
            self.socket.display()
        )
    }

    /// Runs statements as the owner, by PostgreSQL's own client.
    pub fn run(&self, sql: &str) -> Result<String> {
        let mut command = Command::new("psql");
        command
            .args([
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "-v",
                "ON_ERROR_STOP=1",
            ])
            .args(["--command", sql, &self.owner_url()]);
        crate::process::capture(&mut command)
    }

    /// The issuer's login through a port of this machine.
    pub fn issuer_url(&self, port: u16) -> String {
        format!(
            "postgres://tollgate_issuer:{}@127.0.0.1:{port}/tollgate?sslmode=disable",
            self.issuer_password
        )
    }
}

/// The program and its arguments as PostgreSQL notes them: each argument in quotes of its own.
fn arguments(line: &str) -> Option<Vec<String>> {
    let (program, rest) = line.trim().split_once(' ')?;
    let rest = rest.strip_prefix('"')?.strip_suffix('"')?;
    let rest = rest.split("\" \"").map(str::to_owned);
    Some(std::iter::once(program.to_owned()).chain(rest).collect())
}

/// A Redis without a disk.
pub struct Redis {
    process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Redis {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let mut redis = Self {
            process: Process(None),
            port: free_port()?,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it, on the same port.
    pub fn restart(&mut self) -> Result<()> {
        let program = std::env::var_os("REDIS_SERVER_BIN").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(["--port", &self.port.to_string()])
            .stdout(Stdio::null());
        self.process = Process::start(&mut command)?;
        wait_until("Redis answers", STARTED_WITHIN, || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        })
    }
}

/// An issuer as it is run outside development.
pub struct Issuer {
    process: Process,
    program: PathBuf,
    /// Its address.
    pub listen: String,
    variables: Vec<(String, String)>,
    log: PathBuf,
}

impl Issuer {
    /// Describes one; [`Issuer::restart`] starts it.
    pub fn new(
        program: &Path,
        log: PathBuf,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self> {
        Ok(Self {
            process: Process(None),
            program: program.to_owned(),
            listen: format!("127.0.0.1:{}", free_port()?),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            log,
        })
    }

    /// Starts it without waiting.
    pub fn begin(&mut self) -> Result<()> {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .with_context(|| self.log.display().to_string())?;
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone()?).stderr(log);
        self.process = Process::start(&mut command)?;
        Ok(())
    }

    /// Starts it and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.begin()?;
        self.wait_until_ready()
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let client = Client::new(&self.listen);
        let process = &mut self.process;
        let mut has_ended = false;
        let waited = wait_until("the issuer is ready", STARTED_WITHIN, || {
            has_ended = process.has_ended();
            has_ended || client.is_ready()
        });
        let log = || format!("see {}", self.log.display());
        waited.with_context(log)?;
        ensure!(!has_ended, "an issuer ended at its start: {}", log());
        Ok(())
    }

    /// Another command of the same program with the same variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("LISTEN_ADDR", &self.listen)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Tells it to stop and waits for the end; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }
}

/// A folder for what one of these runs leaves behind, emptied first.
pub fn scratch(folder: &Path) -> Result<()> {
    embedded_server::remove(&folder.join("data"))?;
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
        if entry.path().extension().is_some_and(|end| end == "log") {
            fs::remove_file(entry.path())?;
        }
    }
    File::create(folder.join("faults.log")).map(drop)?;
    Ok(())
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Asks again and again.
pub fn wait_until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > within {
            bail!("{what}: not within {} s", within.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// The only one that an embedded server has: it is the name of a socket.
const PORT: &str = "5432";
/// Making a database and starting a debug build on a busy machine.
const MADE_WITHIN: Duration = Duration::from_secs(120);
const STARTED_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_of_the_server_is_read_with_quotes_inside_arguments() {
        let line = "/usr/bin/postgres \"-D\" \"/a b/data\" \"-c\" \"unix_socket_directories=\"/a/run\"\"\n";
        let expected = [
            "/usr/bin/postgres",
            "-D",
            "/a b/data",
            "-c",
            "unix_socket_directories=\"/a/run\"",
        ];
        assert_eq!(arguments(line).unwrap(), expected);
        assert_eq!(arguments("postgres"), None);
    }
}
