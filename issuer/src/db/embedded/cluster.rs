//! One cluster: its folder, its creation, and the start of its server.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::binaries::Binaries;
use super::place::{self, Account, PlaceError};
use super::record::{OWNER_LOGIN, Record};
use super::server::{self, Server};
use super::{Durability, EmbeddedError, Options};

/// Everything needed to run the server of one data directory. The caller holds its lock.
pub(super) struct Cluster {
    record: Record,
    account: Option<Account>,
    binaries: Binaries,
    durability: Durability,
}

impl Cluster {
    /// Finds the cluster of `data_dir` and the programs to run it with, or decides where a new one
    /// goes. Creates no cluster yet.
    pub(super) fn open(data_dir: &Path, options: &Options) -> Result<Self, EmbeddedError> {
        let account = Account::to_switch_to()?;
        let record = match Record::find(data_dir)? {
            Some(record) => record,
            None => new_record(data_dir, account.as_ref())?,
        };
        let data = record.cluster_dir.join(DATA_DIR);
        let existing = read_major(&data)?.map(|major| (data.as_path(), major));
        let binaries = Binaries::find(options, existing)?;
        if let Some(account) = &account {
            check_reachable(account, &binaries.folder)?;
        }
        Ok(Self {
            record,
            account,
            binaries,
            durability: options.durability,
        })
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The folder `initdb` made.
    pub(super) fn data(&self) -> PathBuf {
        self.record.cluster_dir.join(DATA_DIR)
    }

    /// What the server prints.
    pub(super) fn log(&self) -> PathBuf {
        self.record.cluster_dir.join("server.log")
    }

    /// Creates the cluster beside its final place and moves it there when it is whole, so that an
    /// interrupted creation is never mistaken for a cluster.
    pub(super) async fn create_if_missing(&self) -> Result<(), EmbeddedError> {
        place::ensure_private_dir(&self.record.cluster_dir, self.account.as_ref())?;
        place::ensure_private_dir(&self.record.socket_dir, self.account.as_ref())?;
        if read_major(&self.data())?.is_some() {
            return Ok(());
        }
        tracing::info!(
            version = self.binaries.major,
            cluster = %self.data().display(),
            "creating the database; this happens once and takes a few seconds"
        );
        let partial = self.record.cluster_dir.join("data.partial");
        remove_dir_if_present(&partial)?;
        self.run_initdb(&partial).await?;
        write_access_rules(&partial)?;
        fs::rename(&partial, self.data()).map_err(EmbeddedError::io("renaming", partial))
    }

    /// Ends a server that outlived its owner, and clears what a crashed one left behind.
    pub(super) async fn end_leftover_server(&self) -> Result<(), EmbeddedError> {
        server::end_leftover(&self.data()).await
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// A server that ends at once is tried again: right after a crash the processes of the former
    /// one may still hold its shared memory, for as long as they take to notice.
    pub(super) async fn start_server(&self) -> Result<Server, EmbeddedError> {
        let mut pause = server::FIRST_PAUSE;
        for _ in 1..START_ATTEMPTS {
            match self.start_server_once().await {
                Err(EmbeddedError::EndedEarly { status, .. }) => {
                    tracing::debug!(%status, "PostgreSQL ended while starting; trying again");
                }
                result => return result,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.start_server_once().await
    }

    async fn start_server_once(&self) -> Result<Server, EmbeddedError> {
        let log = self.open_log()?;
        let mut command = self.command(self.binaries.postgres());
        command.arg("-D").arg(self.data());
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        let errors = log
            .try_clone()
            .map_err(EmbeddedError::io("opening", self.log()))?;
        command.stdout(log).stderr(errors);
        // In a group of its own: Ctrl-C in the terminal is for us, and we stop the server when the
        // last request has been answered.
        command.process_group(0);
        let child = command
            .spawn()
            .map_err(EmbeddedError::io("starting", self.binaries.postgres()))?;
        Server::ready(child, &self.record.logins(), &self.log()).await
    }

    fn settings(&self) -> Vec<String> {
        let socket_dir = self
            .record
            .socket_dir
            .to_str()
            .expect("checked when the record was made");
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            // A list of names, so the name is quoted and its quotes are doubled.
            format!(
                "unix_socket_directories=\"{}\"",
                socket_dir.replace('"', "\"\"")
            ),
            "unix_socket_permissions=0700".to_owned(),
            format!("port={}", super::record::PORT),
            "password_encryption=scram-sha-256".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
        ];
        match self.durability {
            Durability::Safe => settings.push(format!("max_connections={MAX_CONNECTIONS}")),
            Durability::None => {
                settings.push(format!("max_connections={MAX_TEST_CONNECTIONS}"));
                settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
            }
        }
        settings
    }

    async fn run_initdb(&self, target: &Path) -> Result<(), EmbeddedError> {
        let password_file = self.write_password_file()?;
        let mut command = self.command(self.binaries.initdb());
        command
            .arg("--pgdata")
            .arg(target)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", OWNER_LOGIN, "--auth=scram-sha-256"])
            .args(["--encoding=UTF8", "--no-locale", "--data-checksums"]);
        if self.durability == Durability::None {
            command.arg("--no-sync");
        }
        let output = command.output().await;
        fs::remove_file(&password_file).map_err(EmbeddedError::io("removing", &password_file))?;
        let output = output.map_err(EmbeddedError::io("starting", self.binaries.initdb()))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(EmbeddedError::InitFailed {
            status: output.status,
            output: text.trim().to_owned(),
        })
    }

    /// `initdb` takes the password from a file, so that it is in no list of processes.
    fn write_password_file(&self) -> Result<PathBuf, EmbeddedError> {
        let path = self.record.cluster_dir.join("initdb.password");
        remove_file_if_present(&path)?;
        let mut file = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::io("creating", &path))?;
        place::give_to(&path, self.account.as_ref())?;
        file.write_all(self.record.owner_password().as_bytes())
            .map_err(EmbeddedError::io("writing", &path))?;
        Ok(path)
    }

    /// A command of the server's user, in a folder that user can enter, without our environment:
    /// it may hold secrets that are none of the server's business.
    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", &self.binaries.folder)
            .current_dir(&self.record.cluster_dir)
            .stdin(Stdio::null());
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn open_log(&self) -> Result<File, EmbeddedError> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
            let older = path.with_extension("log.old");
            fs::rename(&path, older).map_err(EmbeddedError::io("renaming", &path))?;
        }
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::io("opening", path))
    }
}

/// Removes the cluster of `data_dir` with everything in it, whatever made it. Only for disposable
/// ones.
pub(super) fn remove(data_dir: &Path) -> Result<(), EmbeddedError> {
    Record::find(data_dir)?.map_or(Ok(()), |record| remove_dir_if_present(&record.cluster_dir))
}

fn new_record(data_dir: &Path, account: Option<&Account>) -> Result<Record, EmbeddedError> {
    let cluster_dir = place::choose_cluster_dir(data_dir, account);
    let data = cluster_dir.join(DATA_DIR);
    if data.exists() {
        return Err(EmbeddedError::RecordMissing { cluster: data });
    }
    let socket_dir = place::choose_socket_dir(&cluster_dir);
    Record::create(data_dir, cluster_dir, socket_dir)
}

fn check_reachable(account: &Account, folder: &Path) -> Result<(), EmbeddedError> {
    account.obstacle(folder).map_or(Ok(()), |folder| {
        Err(PlaceError::Unreachable {
            folder,
            user: account.name.clone(),
        }
        .into())
    })
}

/// The major version that made the cluster; `None` when there is none.
fn read_major(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = data.join("PG_VERSION");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EmbeddedError::io("reading", path)(error)),
    };
    let problem = "not a version number";
    text.trim()
        .parse()
        .map(Some)
        .map_err(|_| EmbeddedError::Record {
            file: path,
            problem,
        })
}

/// One rule: whoever reaches the socket proves a password. `initdb`'s own file would add rules for
/// TCP and replication that nothing here needs.
fn write_access_rules(data: &Path) -> Result<(), EmbeddedError> {
    let path = data.join("pg_hba.conf");
    fs::write(&path, "local all all scram-sha-256\n").map_err(EmbeddedError::io("writing", path))
}

fn remove_file_if_present(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("removing", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove_dir_if_present(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("removing", path)(error))
        }
        _ => Ok(()),
    }
}

const DATA_DIR: &str = "data";
/// With doubling pauses from [`server::FIRST_PAUSE`], three seconds in all.
const START_ATTEMPTS: u32 = 6;
/// PostgreSQL's own default; two issuers and the command line stay far below.
const MAX_CONNECTIONS: u32 = 100;
/// Every test has pools of its own, and races open dozens of connections at once.
const MAX_TEST_CONNECTIONS: u32 = 600;
/// A log this long has been read by nobody; the one before it is kept.
const MAX_LOG_BYTES: u64 = 10 * 1024 * 1024;
