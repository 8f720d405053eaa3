//! What the pool and its transactions have done.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Counted where connections are handed out; every clone counts for the same registry.
#[derive(Debug, Clone)]
pub struct DatabaseMetrics {
    open: Gauge,
    idle: Gauge,
    limit: Gauge,
    waits: Histogram,
    failures: Counter,
    transactions: Family<TransactionOutcome, Counter>,
    seconds: Family<TransactionLabel, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransactionOutcome {
    transaction: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransactionLabel {
    transaction: &'static str,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            open: Gauge::default(),
            idle: Gauge::default(),
            limit: Gauge::default(),
            waits: Histogram::new(WAIT_BUCKETS),
            failures: Counter::default(),
            transactions: Family::default(),
            seconds: Family::new_with_constructor(transaction_histogram),
        }
    }
}

impl DatabaseMetrics {
    /// Notes the state of the pool.
    pub fn connections(&self, open: u32, idle: usize, limit: u32) {
        self.open.set(open.into());
        self.idle.set(i64::try_from(idle).unwrap_or(i64::MAX));
        self.limit.set(limit.into());
    }

    /// Notes how long somebody waited for a connection, and whether there was one in the end.
    pub fn waited(&self, time: Duration, got_one: bool) {
        self.waits.observe(time.as_secs_f64());
        if !got_one {
            self.failures.inc();
        }
    }

    /// Notes a transaction that the server resolved a conflict against.
    pub fn conflicted(&self, transaction: &'static str) {
        self.count(transaction, "conflict");
    }

    /// Notes a transaction that came to an end, whatever its operation made of it.
    pub fn ended(&self, transaction: &'static str, time: Duration) {
        self.count(transaction, "ended");
        self.seconds
            .get_or_create(&TransactionLabel { transaction })
            .observe(time.as_secs_f64());
    }

    fn count(&self, transaction: &'static str, outcome: &'static str) {
        let labels = TransactionOutcome {
            transaction,
            outcome,
        };
        self.transactions.get_or_create(&labels).inc();
    }

    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "database_connections",
            "Open connections",
            self.open.clone(),
        );
        to.register(
            "database_connections_idle",
            "Idle connections",
            self.idle.clone(),
        );
        to.register(
            "database_connections_limit",
            "How many connections there may be",
            self.limit.clone(),
        );
        to.register_with_unit(
            "database_connection_wait",
            "Time until a connection was free",
            Unit::Seconds,
            self.waits.clone(),
        );
        to.register(
            "database_connection_failures",
            "Times that no connection was to be had",
            self.failures.clone(),
        );
        to.register(
            "database_transactions",
            "Named transactions: ended, or conflicted and tried again",
            self.transactions.clone(),
        );
        to.register_with_unit(
            "database_transaction_duration",
            "Time of a named transaction with its retries",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }
}

fn transaction_histogram() -> Histogram {
    Histogram::new(TRANSACTION_BUCKETS)
}

/// From a connection that is free to the time after which nobody waits any more.
const WAIT_BUCKETS: [f64; 7] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.5];
/// From a transaction on an idle machine to the limit of a statement.
const TRANSACTION_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0];
