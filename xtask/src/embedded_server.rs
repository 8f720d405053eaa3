//! The PostgreSQL that the issuer and its tests run: where the tests' one is, and how to stop one
//! whose owner is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::workspace::Workspace;

/// The data directory of the server that all tests share; the tests' support code knows it too.
pub fn of_tests(workspace: &Workspace) -> PathBuf {
    workspace.target.join("test-postgres")
}

/// Stops the server of a data directory and says whether one ran. Its data is kept.
pub fn stop(data_dir: &Path) -> Result<bool> {
    let Some(pid) = find(data_dir) else {
        return Ok(false);
    };
    kill_process(pid, Signal::INT).context("stopping PostgreSQL")?;
    let began = Instant::now();
    while test_kill_process(pid).is_ok() {
        if began.elapsed() > PATIENCE {
            bail!(
                "PostgreSQL (process {}) does not stop",
                pid.as_raw_nonzero()
            );
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

/// Removes a data directory with its cluster, which may lie elsewhere.
pub fn remove(data_dir: &Path) -> Result<()> {
    stop(data_dir)?;
    for folder in [cluster(data_dir).as_deref(), Some(data_dir)]
        .into_iter()
        .flatten()
    {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The process that the server's own files name, if it is still that server.
fn find(data_dir: &Path) -> Option<Pid> {
    let cluster = cluster(data_dir)?.join("data");
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    names_cluster(pid, &cluster)
        .then(|| Pid::from_raw(pid))
        .flatten()
}

/// Where the issuer has put the cluster of a data directory.
fn cluster(data_dir: &Path) -> Option<PathBuf> {
    let record = fs::read(data_dir.join("postgres.json")).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    record["clusterDir"].as_str().map(PathBuf::from)
}

/// A number is given to another process some day; the command line tells whose it is. Without
/// `/proc` the pid file is believed, as PostgreSQL's own tools do.
fn names_cluster(pid: i32, cluster: &Path) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => String::from_utf8_lossy(&line).contains(&*cluster.to_string_lossy()),
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

/// A fast shutdown takes well under a second.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn data_dir_naming(pid: u32, name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let cluster = dir.join("postgres");
        fs::create_dir_all(cluster.join("data")).unwrap();
        let record = serde_json::json!({ "clusterDir": cluster });
        fs::write(dir.join("postgres.json"), record.to_string()).unwrap();
        fs::write(cluster.join("data/postmaster.pid"), format!("{pid}\n")).unwrap();
        dir
    }

    #[test]
    fn process_that_is_not_the_server_is_left_alone() {
        let dir = data_dir_naming(std::process::id(), "foreign");
        assert!(!stop(&dir).unwrap());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn data_directory_is_removed_with_its_cluster() {
        let dir = data_dir_naming(std::process::id(), "removed");
        let elsewhere = std::env::temp_dir().join(format!("xtask-cluster-{}", std::process::id()));
        fs::create_dir_all(elsewhere.join("data")).unwrap();
        let record = serde_json::json!({ "clusterDir": elsewhere });
        fs::write(dir.join("postgres.json"), record.to_string()).unwrap();
        remove(&dir).unwrap();
        assert!(!dir.exists() && !elsewhere.exists());
        remove(&dir).unwrap();
    }

    #[test]
    fn directory_without_a_server_has_nothing_to_stop() {
        assert!(!stop(Path::new("/nonexistent")).unwrap());
    }
}
