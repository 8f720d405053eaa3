//! What each background job has come to, for metrics and the status page.

use std::collections::BTreeMap;
use std::sync::Mutex;

use time::OffsetDateTime;

/// The last outcome of every job that has run on this issuer.
#[derive(Debug, Default)]
pub struct JobHealth {
    jobs: Mutex<BTreeMap<&'static str, JobState>>,
}

/// How one job stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct JobState {
    /// When it last succeeded.
    pub succeeded_at: Option<OffsetDateTime>,
    /// How often it has failed since.
    pub n_failures: u32,
}

impl JobHealth {
    /// Notes a run.
    pub fn note(&self, job: &'static str, succeeded: bool, now: OffsetDateTime) {
        let mut jobs = self.jobs.lock().expect("no holder of this lock panics");
        let state = jobs.entry(job).or_default();
        if succeeded {
            *state = JobState {
                succeeded_at: Some(now),
                n_failures: 0,
            };
        } else {
            state.n_failures = state.n_failures.saturating_add(1);
        }
    }

    /// How a job stands; nothing is known of one that has not run yet.
    pub fn of(&self, job: &str) -> JobState {
        let jobs = self.jobs.lock().expect("no holder of this lock panics");
        jobs.get(job).copied().unwrap_or_default()
    }

    /// Every job that has run, by name.
    pub fn all(&self) -> Vec<(&'static str, JobState)> {
        let jobs = self.jobs.lock().expect("no holder of this lock panics");
        jobs.iter().map(|(name, state)| (*name, *state)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_until_the_job_succeeds_again() {
        let (health, now) = (JobHealth::default(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(health.of("mail"), JobState::default());
        health.note("mail", true, now);
        health.note("mail", false, now);
        health.note("mail", false, now);
        let failing = JobState {
            succeeded_at: Some(now),
            n_failures: 2,
        };
        assert_eq!(health.all(), [("mail", failing)]);
        health.note("mail", true, now);
        assert_eq!(health.of("mail").n_failures, 0);
    }
}
