//! One program that runs until we stop it, with everything it starts in turn.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::interrupt::Interrupt;
use crate::process;
use crate::ui::Progress;

/// A running program in a process group of its own, so that one signal reaches its children too and
/// Ctrl-C in the terminal reaches only us.
pub struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts the program. What it prints goes to `<logs>/<name>.log`, and to the terminal with its
    /// name in front when `echo` is set.
    pub fn start(
        name: &'static str,
        command: &mut Command,
        logs: &Path,
        echo: bool,
    ) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", process::shown(command)))?;
        let file = Arc::new(file);
        let prefix = echo.then(|| format!("{name:<PREFIX_WIDTH$} | "));
        copy_lines(
            child.stdout.take().context("its output")?,
            &file,
            prefix.clone(),
        );
        copy_lines(child.stderr.take().context("its errors")?, &file, prefix);
        Ok(Self { name, child, log })
    }

    /// Waits until `ready` answers yes.
    pub fn wait_until(
        &mut self,
        place: &str,
        interrupt: &Interrupt,
        ready: impl Fn() -> bool,
    ) -> Result<()> {
        let mut progress = Progress::begin(self.name);
        let began = Instant::now();
        while !ready() {
            self.check_alive()?;
            if interrupt.is_set() {
                bail!("stopped while {} was starting", self.name);
            }
            if began.elapsed() > START_DEADLINE {
                bail!(
                    "{} is not ready after {} s{}",
                    self.name,
                    START_DEADLINE.as_secs(),
                    self.tail()
                );
            }
            progress.tick("starting");
            thread::sleep(POLL);
        }
        progress.end(place);
        Ok(())
    }

    /// Fails, with the program's last words, when it has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status}){}", self.name, self.tail()),
        }
    }

    /// Asks the program and its children to end, and insists when they do not.
    pub fn stop(mut self, patience: Duration, interrupt: &Interrupt) -> Result<ExitStatus> {
        let mut progress = Progress::begin(self.name);
        let asked_before = interrupt.count();
        let group = Pid::from_child(&self.child);
        // Fails only when the whole group is gone, and then there is nothing left to ask.
        let _ = kill_process_group(group, Signal::TERM);
        let began = Instant::now();
        while self.child.try_wait()?.is_none() || test_kill_process_group(group).is_ok() {
            if began.elapsed() > patience || interrupt.count() > asked_before.max(1) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            progress.tick("finishing what it has begun");
            thread::sleep(POLL);
        }
        progress.end("stopped");
        Ok(self.child.wait()?)
    }

    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("; the end of {}:\n{}", self.log.display(), last.join("\n"))
    }
}

/// Whatever happens to us, nothing that we started stays behind.
impl Drop for Service {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) || test_kill_process_group(group).is_ok() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        // Until it is waited for, an ended child stays in its group.
        let _ = self.child.wait();
    }
}

fn copy_lines(source: impl Read + Send + 'static, log: &Arc<File>, prefix: Option<String>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // A full disk or a closed terminal must not stop the program whose output this is.
            let _ = writeln!(&*log, "{line}");
            if let Some(prefix) = &prefix {
                let _ = writeln!(io::stdout(), "{prefix}{line}");
            }
        }
    });
}

/// The longest name.
const PREFIX_WIDTH: usize = 7;
/// The first start creates the database; a slow machine may take its time.
const START_DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
const TAIL_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn logs(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn stop_ends_the_children_of_the_program_too() {
        let logs = logs("children");
        let interrupt = Interrupt::listen().unwrap();
        let mut command = sh("sleep 300 & echo started; wait");
        let mut service = Service::start("test", &mut command, &logs, false).unwrap();
        let started = || {
            fs::read_to_string(logs.join("test.log"))
                .unwrap()
                .contains("started")
        };
        service.wait_until("up", &interrupt, started).unwrap();
        let group = Pid::from_child(&service.child);
        service.stop(Duration::from_secs(10), &interrupt).unwrap();
        assert!(
            test_kill_process_group(group).is_err(),
            "nothing is left of the group"
        );
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn service_that_is_dropped_leaves_nothing_behind() {
        let logs = logs("dropped");
        let service = Service::start("test", &mut sh("sleep 300 & wait"), &logs, false).unwrap();
        let group = Pid::from_child(&service.child);
        drop(service);
        let began = Instant::now();
        while test_kill_process_group(group).is_ok() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the group goes on"
            );
            thread::sleep(POLL);
        }
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn program_that_ignores_the_request_is_killed_after_its_patience() {
        let logs = logs("stubborn");
        let interrupt = Interrupt::listen().unwrap();
        let mut command = sh("trap '' TERM; echo started; while :; do sleep 0.1; done");
        let mut service = Service::start("test", &mut command, &logs, false).unwrap();
        let started = || {
            fs::read_to_string(logs.join("test.log"))
                .unwrap()
                .contains("started")
        };
        service.wait_until("up", &interrupt, started).unwrap();
        let status = service
            .stop(Duration::from_millis(300), &interrupt)
            .unwrap();
        assert!(!status.success());
        fs::remove_dir_all(logs).unwrap();
    }

    #[test]
    fn program_that_ends_while_starting_is_reported_with_its_last_words() {
        let logs = logs("early");
        let interrupt = Interrupt::listen().unwrap();
        let mut service =
            Service::start("test", &mut sh("echo no room >&2; exit 7"), &logs, false).unwrap();
        let error = service
            .wait_until("up", &interrupt, || false)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ended by itself") && error.contains("exit status: 7"),
            "{error}"
        );
        fs::remove_dir_all(logs).unwrap();
    }
}
