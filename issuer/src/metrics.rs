//! Counters for Prometheus.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// All metrics of the issuer.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<OperationLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    /// Logins by outcome.
    pub logins: Family<OutcomeLabel, Counter>,
    /// Refreshes by outcome: rotated, repeated, forked, ahead, ended, reused, unknown.
    pub refreshes: Family<OutcomeLabel, Counter>,
    /// Passwords being hashed or waiting for a slot.
    pub hashing: Gauge,
    /// Sequence number of the feed this issuer serves.
    pub feed_seq: Gauge,
    /// When the database last confirmed the feed, Unix seconds.
    pub feed_as_of: Gauge,
    /// Mail by outcome: delivered, retry, dead.
    pub mails: Family<OutcomeLabel, Counter>,
    /// Mail that waits.
    pub mails_waiting: Gauge,
    /// Age of the oldest mail that waits.
    pub mail_oldest_secs: Gauge,
    /// Attempts to deliver a webhook by outcome: delivered, retry, dead; dead counts what was given
    /// up without one, too.
    pub webhooks: Family<OutcomeLabel, Counter>,
    /// Webhooks that wait.
    pub webhooks_waiting: Gauge,
    /// Webhooks that were given up and can be replayed.
    pub webhooks_dead: Gauge,
    /// Age of the oldest webhook that waits.
    pub webhook_oldest_secs: Gauge,
    /// Whether rate limits are shared through Redis at this moment; 0 without Redis.
    pub rate_limit_shared_up: Gauge,
    /// Draws that were decided in process although Redis is configured.
    pub rate_limit_fallbacks: Counter,
    /// Reports of Stripe by what became of an attempt: applied, refused, failed.
    pub stripe_events: Family<OutcomeLabel, Counter>,
    /// Reports of Stripe to be applied.
    pub stripe_events_waiting: Gauge,
    /// Reports of Stripe for an operator to look at.
    pub stripe_events_unresolved: Gauge,
    database_open: Gauge,
    database_idle: Gauge,
    /// Whether reads may go to the replica.
    pub replica_up: Gauge,
    /// By how many seconds the replica was behind when it was last asked.
    pub replica_behind_secs: Gauge,
    /// Reads that the replica answered.
    pub reads_by_replica: Counter,
    /// Runs of background jobs by name and outcome.
    pub jobs: Family<JobLabels, Counter>,
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// What happened.
    pub outcome: &'static str,
}

/// A run of a background job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobLabels {
    /// The job.
    pub job: &'static str,
    /// `done` or `failed`.
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: String,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let mut metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(request_histogram),
            in_flight: Gauge::default(),
            logins: Family::default(),
            refreshes: Family::default(),
            hashing: Gauge::default(),
            feed_seq: Gauge::default(),
            feed_as_of: Gauge::default(),
            mails: Family::default(),
            mails_waiting: Gauge::default(),
            mail_oldest_secs: Gauge::default(),
            webhooks: Family::default(),
            webhooks_waiting: Gauge::default(),
            webhooks_dead: Gauge::default(),
            webhook_oldest_secs: Gauge::default(),
            rate_limit_shared_up: Gauge::default(),
            rate_limit_fallbacks: Counter::default(),
            stripe_events: Family::default(),
            stripe_events_waiting: Gauge::default(),
            stripe_events_unresolved: Gauge::default(),
            database_open: Gauge::default(),
            database_idle: Gauge::default(),
            replica_up: Gauge::default(),
            replica_behind_secs: Gauge::default(),
            reads_by_replica: Counter::default(),
            jobs: Family::default(),
            registry: Registry::with_prefix("tollgate"),
        };
        metrics.register_all();
        metrics.register_purchases();
        metrics.register_webhooks();
        metrics.register_replica();
        metrics
    }

    fn register_all(&mut self) {
        let to = &mut self.registry;
        to.register("http_requests", "Requests answered", self.requests.clone());
        to.register_with_unit(
            "http_request_duration",
            "Time to answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        to.register(
            "http_requests_in_flight",
            "Requests being answered",
            self.in_flight.clone(),
        );
        to.register("logins", "Logins by outcome", self.logins.clone());
        to.register("refreshes", "Refreshes by outcome", self.refreshes.clone());
        to.register(
            "password_hashing_queue",
            "Passwords being hashed or waiting",
            self.hashing.clone(),
        );
        to.register(
            "revocation_feed_seq",
            "Sequence number of the feed served",
            self.feed_seq.clone(),
        );
        to.register(
            "revocation_feed_as_of_seconds",
            "When the feed was last confirmed",
            self.feed_as_of.clone(),
        );
        to.register(
            "rate_limit_shared_up",
            "Whether rate limits are shared through Redis",
            self.rate_limit_shared_up.clone(),
        );
        to.register(
            "rate_limit_fallbacks",
            "Draws decided in process because Redis was away",
            self.rate_limit_fallbacks.clone(),
        );
        to.register(
            "database_connections",
            "Open connections",
            self.database_open.clone(),
        );
        to.register(
            "database_connections_idle",
            "Idle connections",
            self.database_idle.clone(),
        );
        to.register(
            "mails",
            "Tries to send a mail by outcome",
            self.mails.clone(),
        );
        to.register(
            "mails_waiting",
            "Mail that waits",
            self.mails_waiting.clone(),
        );
        to.register(
            "mail_oldest_seconds",
            "Age of the oldest mail that waits",
            self.mail_oldest_secs.clone(),
        );
        to.register("job_runs", "Background jobs by outcome", self.jobs.clone());
    }

    fn register_purchases(&mut self) {
        let to = &mut self.registry;
        to.register(
            "stripe_events",
            "Tries to apply a report of Stripe by outcome",
            self.stripe_events.clone(),
        );
        to.register(
            "stripe_events_waiting",
            "Reports of Stripe to be applied",
            self.stripe_events_waiting.clone(),
        );
        to.register(
            "stripe_events_unresolved",
            "Reports of Stripe that were refused or given up",
            self.stripe_events_unresolved.clone(),
        );
    }

    fn register_replica(&mut self) {
        let to = &mut self.registry;
        to.register(
            "replica_up",
            "1 while reads may go to the replica",
            self.replica_up.clone(),
        );
        to.register(
            "replica_behind_seconds",
            "By how much the replica was behind when it was last asked",
            self.replica_behind_secs.clone(),
        );
        to.register(
            "reads_by_replica",
            "Reads that the replica answered",
            self.reads_by_replica.clone(),
        );
    }

    fn register_webhooks(&mut self) {
        let to = &mut self.registry;
        to.register(
            "webhooks",
            "Attempts to deliver a webhook by outcome",
            self.webhooks.clone(),
        );
        to.register(
            "webhooks_waiting",
            "Webhooks that wait",
            self.webhooks_waiting.clone(),
        );
        to.register(
            "webhooks_dead",
            "Webhooks that were given up and can be replayed",
            self.webhooks_dead.clone(),
        );
        to.register(
            "webhook_oldest_seconds",
            "Age of the oldest webhook that waits",
            self.webhook_oldest_secs.clone(),
        );
    }

    /// Notes that a request began.
    pub fn request_started(&self) -> RequestTimer<'_> {
        self.in_flight.inc();
        RequestTimer {
            metrics: self,
            started: Instant::now(),
        }
    }

    /// Notes the state of the pool.
    pub fn database_connections(&self, open: u32, idle: usize) {
        self.database_open.set(open.into());
        self.database_idle
            .set(i64::try_from(idle).unwrap_or(i64::MAX));
    }

    /// The metrics as Prometheus reads them.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Measures one request.
#[derive(Debug)]
pub struct RequestTimer<'a> {
    metrics: &'a Metrics,
    started: Instant,
}

impl RequestTimer<'_> {
    /// Notes the answer.
    pub fn finish(self, operation: &str, status: u16) {
        let operation = operation.to_owned();
        let labels = OperationLabel {
            operation: operation.clone(),
        };
        self.metrics
            .seconds
            .get_or_create(&labels)
            .observe(self.started.elapsed().as_secs_f64());
        self.metrics
            .requests
            .get_or_create(&RequestLabels { operation, status })
            .inc();
    }
}

impl Drop for RequestTimer<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

fn request_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

/// From a refresh on an idle machine to the limit of a request.
const LATENCY_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
