//! What can go wrong with the embedded server, each with what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::binaries::BinariesError;
use super::place::PlaceError;

/// Why the embedded PostgreSQL could not be started or reached.
#[derive(Debug)]
pub enum EmbeddedError {
    /// Another process owns the data directory.
    InUse {
        /// The directory.
        data_dir: PathBuf,
        /// The owner's process id, where it could be read.
        pid: Option<u32>,
    },
    /// No suitable `initdb` and `postgres` are installed.
    Binaries(BinariesError),
    /// There is no place or no user for the server.
    Place(PlaceError),
    /// The file with the server's place and passwords cannot be understood.
    Record {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, without its content.
        problem: &'static str,
    },
    /// There is a cluster, and the file with its passwords is gone.
    RecordMissing {
        /// The cluster.
        cluster: PathBuf,
    },
    /// `initdb` failed.
    InitFailed {
        /// How it ended.
        status: ExitStatus,
        /// Its last output.
        output: String,
    },
    /// The server ended while it was starting.
    EndedEarly {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server refused the passwords of the record.
    PasswordRefused,
    /// The server did not accept connections in time.
    NotReady,
    /// A former server did not end.
    LeftoverWillNotEnd {
        /// Its process id.
        pid: i32,
    },
    /// A statement that prepares the logins failed.
    Database(sqlx::Error),
    /// A file operation failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<BinariesError> for EmbeddedError {
    fn from(error: BinariesError) -> Self {
        Self::Binaries(error)
    }
}

impl From<PlaceError> for EmbeddedError {
    fn from(error: PlaceError) -> Self {
        Self::Place(error)
    }
}

impl EmbeddedError {
    /// For `map_err`: names the operation and the path that failed.
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

impl fmt::Display for EmbeddedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { data_dir, pid } => fmt_in_use(f, data_dir, *pid),
            Self::Binaries(error) => error.fmt(f),
            Self::Place(error) => error.fmt(f),
            Self::Record { file, problem } => write!(
                f,
                "{}: {problem}; restore the file, or move it and the database away to start afresh",
                file.display()
            ),
            Self::RecordMissing { cluster } => write!(
                f,
                "there is a database in {} but the file with its passwords is gone: restore that file, or move the database away to start afresh",
                cluster.display()
            ),
            Self::InitFailed { status, output } => {
                write!(
                    f,
                    "initdb could not create the database ({status}): {output}"
                )
            }
            Self::EndedEarly { status, log, tail } => write!(
                f,
                "PostgreSQL ended while starting ({status}); the end of {}:\n{tail}",
                log.display()
            ),
            Self::PasswordRefused => write!(
                f,
                "PostgreSQL refuses the recorded password: it was changed by hand, or the record belongs to another database"
            ),
            Self::NotReady => write!(
                f,
                "PostgreSQL did not accept connections within {} s",
                super::server::READY_DEADLINE.as_secs()
            ),
            Self::LeftoverWillNotEnd { pid } => write!(
                f,
                "the PostgreSQL of a former run (process {pid}) does not end: end it, then start again"
            ),
            Self::Database(error) => write!(f, "preparing the database logins failed: {error}"),
            Self::Io {
                doing,
                path,
                source,
            } => {
                write!(f, "{doing} {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for EmbeddedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Binaries(error) => Some(error),
            Self::Place(error) => Some(error),
            Self::Database(error) => Some(error),
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn fmt_in_use(
    f: &mut fmt::Formatter<'_>,
    data_dir: &std::path::Path,
    pid: Option<u32>,
) -> fmt::Result {
    write!(f, "another tollgate")?;
    if let Some(pid) = pid {
        write!(f, " (process {pid})")?;
    }
    write!(
        f,
        " is using {}: stop it, or set TOLLGATE_DATA_DIR to another directory",
        data_dir.display()
    )
}
