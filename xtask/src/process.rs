//! Runs other programs: quietly with a clock, or with their output shown as it comes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::ui::Progress;

/// Runs a short command and returns what it printed.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", shown(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed ({})\n{}",
            shown(command),
            output.status,
            errors.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same with a file to read from.
pub fn capture_from(command: &mut Command, input: &Path) -> Result<String> {
    let file = File::open(input).with_context(|| input.display().to_string())?;
    let output = command
        .stdin(file)
        .output()
        .with_context(|| format!("starting {}", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    bail!("{} failed\n{said}{}", shown(command), errors.trim())
}

/// Whether a short command succeeds. A program that is not installed does not.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a long command out of sight, with a clock; what it printed is shown only if it fails.
pub fn run_quietly(what: &str, state: &str, command: &mut Command) -> Result<()> {
    let mut progress = Progress::begin(what);
    let mut kept = VecDeque::new();
    let status = stream(command, |event| match event {
        Event::Line(line) => {
            progress.tick(&line);
            kept.push_back(line);
            if kept.len() > KEPT_LINES {
                kept.pop_front();
            }
        }
        Event::Quiet => progress.tick(kept.back().map_or("", String::as_str)),
    })?;
    if status.success() {
        progress.end(state);
        return Ok(());
    }
    progress.clear();
    let output: Vec<String> = kept.into();
    bail!(
        "{what}: {} failed ({status})\n{}",
        shown(command),
        output.join("\n")
    )
}

/// Runs a command with its output shown as it comes; `seen` gets every line too.
pub fn run_shown(command: &mut Command, mut seen: impl FnMut(&str)) -> Result<ExitStatus> {
    stream(command, |event| {
        if let Event::Line(line) = event {
            println!("{line}");
            seen(&line);
        }
    })
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

enum Event {
    Line(String),
    /// Nothing was printed for a moment.
    Quiet,
}

fn stream(command: &mut Command, mut on_event: impl FnMut(Event)) -> Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", shown(command)))?;
    let (sender, lines) = mpsc::channel();
    read_lines(child.stdout.take().context("its output")?, sender.clone());
    read_lines(child.stderr.take().context("its errors")?, sender);
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => on_event(Event::Line(line)),
            Err(RecvTimeoutError::Timeout) => on_event(Event::Quiet),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // A program that stays behind may hold the pipes open; what counts is the one we started.
        if let Some(status) = child.try_wait()? {
            while let Ok(line) = lines.recv_timeout(LAST_WORDS) {
                on_event(Event::Line(line));
            }
            return Ok(status);
        }
    }
    child
        .wait()
        .with_context(|| format!("waiting for {}", shown(command)))
}

/// Sends every line of `source` from a thread of its own, so that neither pipe fills up.
pub fn read_lines(source: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if sender.send(line.trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
}

/// Enough to hold a long compiler error.
const KEPT_LINES: usize = 200;
/// Smooth for the eye, cheap for the machine.
const TICK: Duration = Duration::from_millis(100);
/// How long output may lag behind the end of the program that wrote it.
const LAST_WORDS: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn failure_shows_the_command_and_what_it_printed() {
        let error = run_quietly("step", "done", &mut sh("echo out; echo err >&2; exit 3"));
        let text = error.unwrap_err().to_string();
        for part in ["step", "sh -c", "exit status: 3", "out", "err"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn failure_of_a_short_command_shows_its_errors() {
        let text = capture(&mut sh("echo why >&2; exit 1"))
            .unwrap_err()
            .to_string();
        assert!(text.contains("why"), "{text}");
        assert!(capture(&mut Command::new("/nonexistent/program")).is_err());
    }

    #[test]
    fn every_line_is_seen_before_the_end_is_reported() {
        let mut lines = Vec::new();
        let status = run_shown(&mut sh("for i in 1 2 3; do echo $i; done"), |line| {
            lines.push(line.to_owned());
        });
        assert!(status.unwrap().success());
        assert_eq!(lines, ["1", "2", "3"]);
    }

    #[test]
    fn program_left_behind_with_our_pipes_does_not_hold_us_up() {
        let began = std::time::Instant::now();
        assert!(
            run_shown(&mut sh("sleep 30 & echo started"), |_| ())
                .unwrap()
                .success()
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
