//! Counters for Prometheus.
//!
//! Labels take their values from closed lists of ours: what a caller sends is never one. What can
//! happen is there from the start with a zero, so that the first time counts as an increase.

mod connections;
mod credits;
mod database;
mod hashing;
mod recent;
mod text;
mod verification;

use std::time::Instant;

pub use connections::ConnectionMetrics;
pub use credits::CreditsMetrics;
pub use database::DatabaseMetrics;
pub use hashing::HashingMetrics;
pub use recent::{N_MINUTES as RECENT_MINUTES, RecentCounts};
use time::OffsetDateTime;
pub use verification::VerificationMetrics;

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
    recent: recent::Recent,
    began: Instant,
    started_at: OffsetDateTime,
    /// Connections of clients.
    pub connections: ConnectionMetrics,
    /// Sign-ins by outcome; `second_factor` is a right password before its second step.
    pub logins: Family<OutcomeLabel, Counter>,
    /// Refreshes by outcome: rotated, repeated, forked, ahead, ended, reused, unknown, garbage,
    /// failed.
    pub refreshes: Family<OutcomeLabel, Counter>,
    /// What was spent.
    pub credits: CreditsMetrics,
    /// What verifiers fetch.
    pub verification: VerificationMetrics,
    /// The pool of connections.
    pub database: DatabaseMetrics,
    /// The threads that hash passwords.
    pub hashing: HashingMetrics,
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
    /// Whether issuers are meant to share rate limits through Redis.
    pub rate_limit_shared_wanted: Gauge,
    /// Draws that were decided in process although Redis is configured.
    pub rate_limit_fallbacks: Counter,
    /// Reports of Stripe by what became of an attempt: applied, refused, failed.
    pub stripe_events: Family<OutcomeLabel, Counter>,
    /// Reports of Stripe to be applied.
    pub stripe_events_waiting: Gauge,
    /// Reports of Stripe for an operator to look at.
    pub stripe_events_unresolved: Gauge,
    /// Whether reads may go to the replica.
    pub replica_up: Gauge,
    /// By how many seconds the replica was behind when it was last asked.
    pub replica_behind_secs: Gauge,
    /// Reads that the replica answered.
    pub reads_by_replica: Counter,
    jobs: Family<JobLabels, Counter>,
    job_ages: Family<JobLabel, Gauge>,
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// What happened.
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    // Not `job`: Prometheus gives every sample a label of that name.
    task: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    task: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

impl Metrics {
    /// Registers everything, with what pool and hashing count by themselves.
    pub fn new(
        database: DatabaseMetrics,
        hashing: HashingMetrics,
        started_at: OffsetDateTime,
    ) -> Self {
        let mut metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(request_histogram),
            in_flight: Gauge::default(),
            recent: recent::Recent::default(),
            began: Instant::now(),
            started_at,
            connections: ConnectionMetrics::default(),
            logins: with_zeros(&LOGIN_OUTCOMES),
            refreshes: with_zeros(&REFRESH_OUTCOMES),
            credits: CreditsMetrics::new(),
            verification: VerificationMetrics::new(),
            database,
            hashing,
            mails: with_zeros(&SENDING_OUTCOMES),
            mails_waiting: Gauge::default(),
            mail_oldest_secs: Gauge::default(),
            webhooks: with_zeros(&SENDING_OUTCOMES),
            webhooks_waiting: Gauge::default(),
            webhooks_dead: Gauge::default(),
            webhook_oldest_secs: Gauge::default(),
            rate_limit_shared_up: Gauge::default(),
            rate_limit_shared_wanted: Gauge::default(),
            rate_limit_fallbacks: Counter::default(),
            stripe_events: with_zeros(&["applied", "refused", "failed"]),
            stripe_events_waiting: Gauge::default(),
            stripe_events_unresolved: Gauge::default(),
            replica_up: Gauge::default(),
            replica_behind_secs: Gauge::default(),
            reads_by_replica: Counter::default(),
            jobs: Family::default(),
            job_ages: Family::default(),
            registry: Registry::with_prefix("tollgate"),
        };
        metrics.register_process(started_at);
        metrics.register_requests();
        metrics.register_sign_ins();
        metrics.register_limits();
        metrics.register_mail();
        metrics.register_purchases();
        metrics.register_webhooks();
        let to = &mut metrics.registry;
        metrics.connections.register(to);
        metrics.credits.register(to);
        metrics.verification.register(to);
        metrics.database.register(to);
        metrics.hashing.register(to);
        metrics.register_replica();
        metrics
    }

    fn register_process(&mut self, started_at: OffsetDateTime) {
        let build: Family<BuildLabels, Gauge> = Family::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&BuildLabels { version }).set(1);
        let started: Gauge = Gauge::default();
        started.set(started_at.unix_timestamp());
        let to = &mut self.registry;
        to.register("build_info", "The version that runs", build);
        to.register("start_time_seconds", "When the issuer was started", started);
        to.register("job_runs", "Background jobs by outcome", self.jobs.clone());
        to.register(
            "job_age_seconds",
            "How long ago a background job last succeeded",
            self.job_ages.clone(),
        );
    }

    fn register_requests(&mut self) {
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
    }

    fn register_sign_ins(&mut self) {
        let to = &mut self.registry;
        to.register("logins", "Logins by outcome", self.logins.clone());
        to.register("refreshes", "Refreshes by outcome", self.refreshes.clone());
    }

    fn register_limits(&mut self) {
        let to = &mut self.registry;
        to.register(
            "rate_limit_shared_wanted",
            "Whether rate limits are meant to be shared through Redis",
            self.rate_limit_shared_wanted.clone(),
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
    }

    fn register_mail(&mut self) {
        let to = &mut self.registry;
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

    /// Notes a run of a background job.
    pub fn job_ran(&self, task: &'static str, succeeded: bool) {
        let outcome = if succeeded { "done" } else { "failed" };
        self.jobs.get_or_create(&JobLabels { task, outcome }).inc();
    }

    /// Notes how long ago a background job last succeeded.
    pub fn job_age(&self, task: &'static str, secs: i64) {
        self.job_ages.get_or_create(&JobLabel { task }).set(secs);
    }

    /// When the issuer was started.
    pub fn started_at(&self) -> OffsetDateTime {
        self.started_at
    }

    /// What was answered in the last [`RECENT_MINUTES`].
    pub fn recent(&self) -> RecentCounts {
        self.recent.counts(self.minute())
    }

    fn minute(&self) -> u64 {
        self.began.elapsed().as_secs() / 60
    }

    /// The metrics as Prometheus reads them.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text::from_openmetrics(&text)
    }
}

/// Each outcome with a zero.
fn with_zeros(outcomes: &[&'static str]) -> Family<OutcomeLabel, Counter> {
    let family = Family::<OutcomeLabel, Counter>::default();
    for outcome in outcomes {
        drop(family.get_or_create(&OutcomeLabel { outcome }));
    }
    family
}

/// Measures one request.
#[derive(Debug)]
pub struct RequestTimer<'a> {
    metrics: &'a Metrics,
    started: Instant,
}

impl RequestTimer<'_> {
    /// Notes the answer.
    pub fn finish(self, operation: &'static str, status: u16) {
        self.metrics
            .seconds
            .get_or_create(&OperationLabel { operation })
            .observe(self.started.elapsed().as_secs_f64());
        self.metrics
            .requests
            .get_or_create(&RequestLabels { operation, status })
            .inc();
        self.metrics.recent.note(self.metrics.minute(), status);
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
const LOGIN_OUTCOMES: [&str; 5] = [
    "success",
    "second_factor",
    "refused",
    "rate_limited",
    "failed",
];
const REFRESH_OUTCOMES: [&str; 9] = [
    "rotated", "repeated", "forked", "ahead", "ended", "reused", "unknown", "garbage", "failed",
];
const SENDING_OUTCOMES: [&str; 3] = ["delivered", "retry", "dead"];
