//! What was spent, and what was not.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::OutcomeLabel;

/// Counted by the operations that spend.
#[derive(Debug, Default)]
pub struct CreditsMetrics {
    used: Counter,
    charges: Family<OutcomeLabel, Counter>,
    holds: Family<HoldLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HoldLabels {
    act: &'static str,
    outcome: &'static str,
}

impl CreditsMetrics {
    /// With a zero for everything that can happen, so that the first time counts as an increase.
    pub fn new() -> Self {
        let metrics = Self::default();
        for outcome in CHARGE_OUTCOMES {
            drop(metrics.charges.get_or_create(&OutcomeLabel { outcome }));
        }
        for act in ["place", "capture", "release"] {
            for outcome in ["done", "replayed", "insufficient", "refused", "failed"] {
                drop(metrics.holds.get_or_create(&HoldLabels { act, outcome }));
            }
        }
        metrics
    }

    /// Notes credits that were spent, at once or out of a hold.
    pub fn used(&self, amount: i64) {
        self.used.inc_by(amount.unsigned_abs());
    }

    /// Notes what became of a charge.
    pub fn charge(&self, outcome: &'static str) {
        self.charges.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Notes what became of placing, capturing or releasing a hold.
    pub fn hold(&self, act: &'static str, outcome: &'static str) {
        self.holds.get_or_create(&HoldLabels { act, outcome }).inc();
    }

    pub(super) fn register(&self, to: &mut Registry) {
        to.register("credits_used", "Credits spent", self.used.clone());
        to.register("credit_charges", "Charges by outcome", self.charges.clone());
        to.register(
            "credit_holds",
            "Holds placed, captured and released, by outcome",
            self.holds.clone(),
        );
    }
}

const CHARGE_OUTCOMES: [&str; 10] = [
    "posted",
    "replayed",
    "insufficient",
    "limit_reached",
    "key_reused",
    "frozen",
    "rate_limited",
    "no_account",
    "service_ended",
    "failed",
];
