//! What the threads that hash passwords have done.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::OutcomeLabel;

/// Counted by the pool; every clone counts for the same registry.
#[derive(Debug, Clone)]
pub struct HashingMetrics {
    queue: Gauge,
    limit: Gauge,
    seconds: Histogram,
    outcomes: Family<OutcomeLabel, Counter>,
}

impl HashingMetrics {
    /// For a queue of so many.
    pub fn new(limit: usize) -> Self {
        let metrics = Self {
            queue: Gauge::default(),
            limit: Gauge::default(),
            seconds: Histogram::new(HASHING_BUCKETS),
            outcomes: Family::default(),
        };
        metrics.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
        for outcome in ["done", "queue_full", "late", "failed"] {
            drop(metrics.outcomes.get_or_create(&OutcomeLabel { outcome }));
        }
        metrics
    }

    /// Notes how many are being hashed or waiting.
    pub fn queue_length(&self, length: i64) {
        self.queue.set(length);
    }

    /// How many are being hashed or waiting, and how many may.
    pub fn queue(&self) -> (i64, i64) {
        (self.queue.get(), self.limit.get())
    }

    /// Notes a password that came to its end: `done`, `queue_full`, `late` or `failed`.
    pub fn finished(&self, outcome: &'static str, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
        self.outcomes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "password_hashing_queue",
            "Passwords being hashed or waiting",
            self.queue.clone(),
        );
        to.register(
            "password_hashing_queue_limit",
            "How many passwords may wait",
            self.limit.clone(),
        );
        to.register_with_unit(
            "password_hashing_duration",
            "Time to hash a password with the wait for it",
            Unit::Seconds,
            self.seconds.clone(),
        );
        to.register(
            "password_hashes",
            "Passwords hashed by outcome",
            self.outcomes.clone(),
        );
    }
}

/// From one hash on a fast core to the time after which nobody waits any more.
const HASHING_BUCKETS: [f64; 8] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
