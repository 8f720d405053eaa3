//! One running server process.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::EmbeddedError;
use super::place::SOCKET_FILE;
use super::record::{Logins, Record};

/// A server that has accepted a connection.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Waits until the started `child` accepts connections. One that does not is killed.
    pub(super) async fn ready(
        mut child: Child,
        logins: &Logins,
        log: &Path,
    ) -> Result<Self, EmbeddedError> {
        let ready = wait_until_ready(logins, &mut || child.try_wait().ok().flatten()).await;
        match ready {
            Ok(()) => Ok(Self { child }),
            Err(EmbeddedError::EndedEarly { status, .. }) => Err(EmbeddedError::EndedEarly {
                status,
                log: log.to_owned(),
                tail: tail(log).unwrap_or_default(),
            }),
            Err(error) => {
                Self { child }.stop().await;
                Err(error)
            }
        }
    }

    /// Waits until the server has ended by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the server: cleanly if it can, by force if it must.
    pub(super) async fn stop(mut self) {
        for (signal, patience) in ENDING {
            let Some(pid) = self.child.id().and_then(to_pid) else {
                return;
            };
            // The process may end by itself between the two calls; then there is nothing to do.
            let _ = kill_process(pid, signal);
            if timeout(patience, self.child.wait()).await.is_ok() {
                return;
            }
            tracing::warn!(?signal, "PostgreSQL does not end; insisting");
        }
    }
}

/// Whether something accepts connections on the record's socket.
pub(super) fn is_listening(record: &Record) -> bool {
    UnixStream::connect(record.socket_dir.join(SOCKET_FILE)).is_ok()
}

/// Waits until the owner can log in. `ended` tells that the process is gone.
pub(super) async fn wait_until_ready(
    logins: &Logins,
    ended: &mut (dyn FnMut() -> Option<ExitStatus> + Send),
) -> Result<(), EmbeddedError> {
    let options = maintenance(logins)?;
    let deadline = Instant::now() + READY_DEADLINE;
    while Instant::now() < deadline {
        match options.connect().await {
            Ok(connection) => return connection.close().await.map_err(EmbeddedError::Database),
            Err(error) if is_password_refused(&error) => {
                return Err(EmbeddedError::PasswordRefused);
            }
            Err(_) => {}
        }
        if let Some(status) = ended() {
            let (log, tail) = Default::default();
            return Err(EmbeddedError::EndedEarly { status, log, tail });
        }
        sleep(READY_POLL).await;
    }
    Err(EmbeddedError::NotReady)
}

/// The owner's connection to the database that every cluster has.
pub(super) fn maintenance(logins: &Logins) -> Result<PgConnectOptions, EmbeddedError> {
    let options: PgConnectOptions = logins
        .owner
        .expose()
        .parse()
        .map_err(EmbeddedError::Database)?;
    Ok(options.database("postgres").disable_statement_logging())
}

/// Ends the server that `postmaster.pid` names, if it is really the one of this cluster.
///
/// The number may have been given to another process since; that process is left alone, and the
/// file, which would keep the server from starting, is removed. PostgreSQL itself still refuses to
/// start while any process of the old server is attached to the cluster's shared memory.
pub(super) async fn end_leftover(data: &Path) -> Result<(), EmbeddedError> {
    let pid_file = data.join("postmaster.pid");
    let Some(pid) = read_pid(&pid_file)? else {
        return Ok(());
    };
    if !is_running(pid) {
        return Ok(());
    }
    if !runs_cluster(pid, data) {
        return fs::remove_file(&pid_file).map_err(EmbeddedError::io("removing", pid_file));
    }
    tracing::info!(
        pid = pid.as_raw_nonzero().get(),
        "ending the PostgreSQL of a former run"
    );
    for (signal, patience) in ENDING {
        let _ = kill_process(pid, signal);
        if has_ended_within(pid, patience).await {
            return Ok(());
        }
    }
    Err(EmbeddedError::LeftoverWillNotEnd {
        pid: pid.as_raw_nonzero().get(),
    })
}

fn read_pid(pid_file: &Path) -> Result<Option<Pid>, EmbeddedError> {
    match fs::read_to_string(pid_file) {
        Ok(text) => Ok(text
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .and_then(to_pid)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("reading", pid_file)(error)),
    }
}

fn to_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// A process that ended and was not waited for yet counts as ended.
fn is_running(pid: Pid) -> bool {
    let zombie = |stat: String| stat.rsplit(')').next().is_some_and(|s| s.starts_with(" Z"));
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    test_kill_process(pid).is_ok() && !fs::read_to_string(stat).is_ok_and(zombie)
}

/// Whether the command line of `pid` names the cluster, as ours always do. Where there is no
/// `/proc`, `ps` tells.
fn runs_cluster(pid: Pid, data: &Path) -> bool {
    let pid = pid.as_raw_nonzero().to_string();
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).or_else(|_| {
        let ps = std::process::Command::new("ps")
            .args(["-o", "command=", "-p", &pid])
            .output();
        ps.map(|output| output.stdout)
    });
    let data = data.as_os_str().as_encoded_bytes();
    command_line.is_ok_and(|line| line.windows(data.len()).any(|window| window == data))
}

async fn has_ended_within(pid: Pid, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while is_running(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(READY_POLL).await;
    }
    true
}

/// SQLSTATE 28P01 (invalid password), 28000 (no rule admits the login).
fn is_password_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "28P01" || code == "28000")
}

fn tail(log: &Path) -> io::Result<String> {
    let mut file = fs::File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// Recovery after a crash replays the log since the last checkpoint: seconds, rarely more.
pub(super) const READY_DEADLINE: Duration = Duration::from_secs(60);
/// The first pause before a start is tried again.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Short beside the quarter of a second a start takes.
const READY_POLL: Duration = Duration::from_millis(25);
/// Fast shutdown writes a checkpoint; immediate does not; the last leaves no choice. The sum stays
/// below what service managers wait before they kill.
const ENDING: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(20)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(2)),
];
/// Enough for the last messages.
const TAIL_BYTES: u64 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> Pid {
        rustix::process::getpid()
    }

    #[test]
    fn foreign_process_is_not_taken_for_the_server() {
        assert!(is_running(own_pid()));
        assert!(!runs_cluster(
            own_pid(),
            Path::new("/var/lib/nobody-runs-this/data")
        ));
    }

    #[test]
    fn pid_file_with_garbage_names_no_process() {
        let file = std::env::temp_dir().join(format!("postmaster-{}.pid", std::process::id()));
        for text in ["", "\n", "-1\n", "0\n", "99999999999\n", "abc\n"] {
            fs::write(&file, text).unwrap();
            assert!(read_pid(&file).unwrap().is_none(), "{text:?}");
        }
        fs::remove_file(&file).unwrap();
        assert!(read_pid(&file).unwrap().is_none());
    }
}
