//! A PostgreSQL of our own, for `tollgate serve --dev` and for the tests.
//!
//! It is a real server started from the system's binaries, so that nobody has to install, configure
//! or clean up a database to run Tollgate on one machine. Invariants:
//!
//! 1. At most one process owns a data directory: [`EmbeddedPostgres::start`] holds a file lock for
//!    the life of the process. The kernel drops the lock when the process dies, however it dies.
//! 2. The server listens on a Unix socket in a directory of mode 0700 and nowhere else, and every
//!    connection authenticates with SCRAM-SHA-256 and a generated password.
//! 3. The server never runs as root: started by root, it runs as `postgres` or else `nobody`.
//! 4. Data is kept. Nothing here removes a finished cluster, except [`start_or_join`], whose
//!    cluster is disposable by contract.
//! 5. A server that dies while its owner lives is started again ([`supervisor`]).

mod binaries;
mod cluster;
mod error;
mod lock;
mod logins;
mod place;
mod record;
mod server;
mod supervisor;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use binaries::{BinariesError, find_client};
use cluster::Cluster;
pub use error::EmbeddedError;
use lock::DataDirLock;
pub use place::PlaceError;
pub use record::Logins;
use record::Record;

/// Where the server's programs are found and how the server is tuned.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with `initdb` and `postgres`; `None` searches `search_path` and the usual places.
    pub binaries: Option<PathBuf>,
    /// The value of `PATH`.
    pub search_path: Option<OsString>,
    /// Whether data must survive a crash of the machine.
    pub durability: Durability,
}

/// Whether the server waits for the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Committed data survives a loss of power.
    Safe,
    /// Committed data survives a crash of the server, not one of the machine: tests only, several
    /// times faster.
    None,
}

/// A running server that belongs to this process.
///
/// Dropping it leaves the server running; the next start replaces it. Call [`Self::stop`] for a
/// clean end.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    logins: Logins,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
    _lock: DataDirLock,
}

impl EmbeddedPostgres {
    /// Starts the server of `data_dir`, creating its cluster when there is none, and keeps it
    /// running until [`Self::stop`].
    ///
    /// # Errors
    /// [`EmbeddedError::InUse`] when another process owns the directory; the other variants say
    /// what is missing or wrong on this machine and what to do about it.
    pub async fn start(data_dir: &Path, options: Options) -> Result<Self, EmbeddedError> {
        let data_dir = place::create_data_dir(data_dir)?;
        let lock = DataDirLock::try_acquire(&data_dir)?;
        let cluster = Cluster::open(&data_dir, &options)?;
        cluster.create_if_missing().await?;
        cluster.end_leftover_server().await?;
        let server = cluster.start_server().await?;
        let logins = cluster.record().logins();
        logins::ensure(&logins).await?;
        let (stop, stopped) = oneshot::channel();
        let supervisor = tokio::spawn(supervisor::run(cluster, server, stopped));
        Ok(Self {
            logins,
            stop,
            supervisor,
            _lock: lock,
        })
    }

    /// The logins of a server that another process runs on `data_dir`; `None` when none runs.
    ///
    /// # Errors
    /// [`EmbeddedError::Io`] and [`EmbeddedError::Record`] when the directory cannot be read,
    /// [`EmbeddedError::NotReady`] when a server is there and does not answer in time.
    pub async fn attach(data_dir: &Path) -> Result<Option<Logins>, EmbeddedError> {
        let Some(record) = Record::find(data_dir)? else {
            return Ok(None);
        };
        if !server::is_listening(&record) {
            return Ok(None);
        }
        let logins = record.logins();
        server::wait_until_ready(&logins, &mut || None).await?;
        Ok(Some(logins))
    }

    /// How to reach the server.
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Stops the server cleanly: open transactions are rolled back, everything committed is on disk.
    pub async fn stop(self) {
        // The supervisor has ended by itself only if it panicked; then there is nothing to tell it.
        let _ = self.stop.send(());
        let _ = self.supervisor.await;
    }
}

/// Joins the disposable server of `data_dir` that tests share, starting it when none runs.
///
/// The server outlives the calling process: tests run in many processes and the first of them
/// starts it for all. A cluster that does not start is created anew, so callers keep nothing in it
/// that they need later.
///
/// # Errors
/// As [`EmbeddedPostgres::start`], except that a directory in use is waited for.
pub async fn start_or_join(data_dir: &Path, options: Options) -> Result<Logins, EmbeddedError> {
    let data_dir = place::create_data_dir(data_dir)?;
    let _lock = DataDirLock::acquire(&data_dir).await?;
    if let Some(logins) = EmbeddedPostgres::attach(&data_dir).await? {
        return Ok(logins);
    }
    match start_detached(&data_dir, options.clone()).await {
        Ok(logins) => Ok(logins),
        Err(error) => {
            tracing::warn!(%error, "the shared test server did not start; creating it anew");
            cluster::remove(&data_dir)?;
            start_detached(&data_dir, options).await
        }
    }
}

async fn start_detached(data_dir: &Path, options: Options) -> Result<Logins, EmbeddedError> {
    let cluster = Cluster::open(data_dir, &options)?;
    cluster.create_if_missing().await?;
    cluster.end_leftover_server().await?;
    cluster.start_server().await?;
    let logins = cluster.record().logins();
    logins::ensure(&logins).await?;
    Ok(logins)
}
