//! What verifiers fetch: key sets and the revocation feed.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counted where they are served; ages are set when somebody scrapes.
#[derive(Debug, Default)]
pub struct VerificationMetrics {
    key_sets: Family<KeySetLabels, Counter>,
    key_age_secs: Family<KeyLabels, Gauge>,
    feeds: Family<AnswerLabel, Counter>,
    feed_seq: Gauge,
    feed_as_of: Gauge,
    feed_age_secs: Gauge,
    feed_entries: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeySetLabels {
    purpose: &'static str,
    answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    purpose: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

impl VerificationMetrics {
    /// With a zero for every answer, so that the first one counts as an increase.
    pub fn new() -> Self {
        let metrics = Self::default();
        for purpose in ["access_token", "revocation_feed"] {
            for answer in ["document", "not_modified"] {
                let labels = KeySetLabels { purpose, answer };
                drop(metrics.key_sets.get_or_create(&labels));
            }
        }
        for answer in ["document", "delta", "not_modified"] {
            drop(metrics.feeds.get_or_create(&AnswerLabel { answer }));
        }
        metrics
    }

    /// Notes a key set that was served: the `document`, or that it is `not_modified`.
    pub fn key_set_served(&self, purpose: &'static str, answer: &'static str) {
        let labels = KeySetLabels { purpose, answer };
        self.key_sets.get_or_create(&labels).inc();
    }

    /// Notes the feed as it was served: the `document`, a `delta`, or that it is `not_modified`.
    pub fn feed_served(&self, answer: &'static str) {
        self.feeds.get_or_create(&AnswerLabel { answer }).inc();
    }

    /// Notes the feed that is served from now on.
    pub fn feed_replaced(&self, seq: i64, as_of: i64, n_entries: usize) {
        self.feed_seq.set(seq);
        self.feed_as_of.set(as_of);
        self.feed_entries
            .set(i64::try_from(n_entries).unwrap_or(i64::MAX));
    }

    /// Notes how long ago the database last confirmed the feed.
    pub fn feed_age(&self, secs: i64) {
        self.feed_age_secs.set(secs);
    }

    /// Notes how long the oldest key of a purpose has been in a state; 0 when there is none.
    pub fn key_age(&self, purpose: &'static str, state: &'static str, secs: i64) {
        let labels = KeyLabels { purpose, state };
        self.key_age_secs.get_or_create(&labels).set(secs);
    }

    pub(super) fn register(&self, to: &mut Registry) {
        to.register("key_sets_served", "Key sets served", self.key_sets.clone());
        to.register(
            "signing_key_age_seconds",
            "How long the oldest signing key has been in this state, 0 without one",
            self.key_age_secs.clone(),
        );
        to.register(
            "revocation_feeds_served",
            "Revocation feeds served",
            self.feeds.clone(),
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
            "revocation_feed_age_seconds",
            "How long ago the feed was last confirmed",
            self.feed_age_secs.clone(),
        );
        to.register(
            "revocation_feed_entries",
            "Revocations in the feed",
            self.feed_entries.clone(),
        );
    }
}
