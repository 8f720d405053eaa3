//! What the person at the terminal sees: headings, one line per step, a clock on long steps, tables.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Prints a heading with the reason for what follows.
pub fn heading(title: &str, reason: &str) {
    println!("\n{title}: {reason}");
}

/// Prints one finished line: what it is about, and how it stands.
pub fn line(subject: &str, state: &str) {
    println!("  {subject:<SUBJECT_WIDTH$} {state}");
}

/// A step that takes a while. On a terminal its line ticks; elsewhere a line appears now and then.
pub struct Progress {
    what: String,
    began: Instant,
    shown: Instant,
    ticking: bool,
}

impl Progress {
    /// Begins a step.
    pub fn begin(what: &str) -> Self {
        let now = Instant::now();
        Self {
            what: what.to_owned(),
            began: now,
            shown: now,
            ticking: io::stdout().is_terminal(),
        }
    }

    /// Shows that it still runs, and what it said last. Call it often.
    pub fn tick(&mut self, detail: &str) {
        let pause = if self.ticking {
            TERMINAL_PAUSE
        } else {
            LOG_PAUSE
        };
        if self.began.elapsed() < QUIET || self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.began.elapsed().as_secs();
        let detail: String = detail.trim().chars().take(DETAIL_WIDTH).collect();
        if self.ticking {
            print!(
                "\r\x1b[2K  {:<SUBJECT_WIDTH$} {seconds:>3} s  {detail}",
                self.what
            );
            let _ = io::stdout().flush();
        } else {
            println!("  {:<SUBJECT_WIDTH$} {seconds:>3} s  {detail}", self.what);
        }
    }

    /// Ends the step and prints how it stands and how long it took.
    pub fn end(self, state: &str) {
        let took = seconds(self.began.elapsed());
        self.clear();
        line(&self.what, &format!("{state} ({took})"));
    }

    /// Removes the ticking line, for an error message in its place.
    pub fn clear(&self) {
        if self.ticking {
            print!("\r\x1b[2K");
            let _ = io::stdout().flush();
        }
    }
}

/// `0.4 s`, `12 s`, `2 min 05 s`.
pub fn seconds(elapsed: Duration) -> String {
    let tenths = elapsed.as_millis() / 100;
    match elapsed.as_secs() {
        0..10 => format!("{}.{} s", tenths / 10, tenths % 10),
        secs @ 10..120 => format!("{secs} s"),
        secs => format!("{} min {:02} s", secs / 60, secs % 60),
    }
}

/// Lays out rows in columns; the first column is text, the others are aligned to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text += "  ";
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Wide enough for the longest subject in use.
const SUBJECT_WIDTH: usize = 26;
/// Fits beside the subject on a terminal of 80 columns.
const DETAIL_WIDTH: usize = 44;
/// What takes less needs no clock.
const QUIET: Duration = Duration::from_secs(2);
const TERMINAL_PAUSE: Duration = Duration::from_millis(250);
/// In a log, often enough to show life and seldom enough to read.
const LOG_PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_scale() {
        for (millis, text) in [
            (0, "0.0 s"),
            (449, "0.4 s"),
            (9_999, "9.9 s"),
            (10_000, "10 s"),
            (119_999, "119 s"),
            (125_000, "2 min 05 s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn table_lines_up_text_left_and_figures_right() {
        let rows = [
            vec!["part", "ran"],
            vec!["Rust", "7"],
            vec!["worker", "120"],
        ];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(
            table(&rows),
            "  part    ran\n  Rust      7\n  worker  120\n"
        );
    }
}
