//! How far it has come, for whoever waits.

use std::io::Write;
use std::time::{Duration, Instant};

/// Says every two seconds how many bytes have passed; nothing when it is over sooner.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// Begins; `total` when it is known.
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            what,
            total,
            done: 0,
            began: now,
            told: now,
        }
    }

    /// Notes that bytes have passed.
    pub fn advance(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let done = megabytes(self.done);
            let of = self.total.map(|total| format!(" of {}", megabytes(total)));
            let secs = self.began.elapsed().as_secs();
            tell(&format!(
                "{}: {done}{} MB, {secs} s",
                self.what,
                of.unwrap_or_default()
            ));
        }
    }
}

/// A line on standard error, beside the answer and not in it.
pub fn tell(line: &str) {
    // Nobody is there to read it: no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// A person begins to wonder after that.
const TELL_EVERY: Duration = Duration::from_secs(2);
