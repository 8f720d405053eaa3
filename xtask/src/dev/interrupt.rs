//! Notices that we are asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Counts the requests to stop: Ctrl-C, the end of the terminal, a service manager.
#[derive(Clone, Debug)]
pub struct Interrupt {
    count: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on a request to stop is counted and no longer ends this process.
    pub fn listen() -> Result<Self> {
        let mut signals =
            Signals::new([SIGHUP, SIGINT, SIGTERM]).context("listening for Ctrl-C")?;
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        thread::spawn(move || {
            for _ in signals.forever() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { count })
    }

    /// Whether somebody asked us to stop.
    pub fn is_set(&self) -> bool {
        self.count() > 0
    }

    /// How often somebody asked; the second time means at once.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
