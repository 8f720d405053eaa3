//! How long to leave an issuer alone that does not answer.

use crate::time::UnixMillis;

/// The failures since the last success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    max_pause_ms: u64,
    failures: u32,
    /// When the last one was, and the pause it calls for.
    pause: Option<(UnixMillis, u64)>,
}

impl Backoff {
    /// No failures so far; pauses of at most so long.
    pub(crate) const fn new(max_pause_ms: u64) -> Self {
        Self {
            max_pause_ms,
            failures: 0,
            pause: None,
        }
    }

    /// Counts a failure. Each doubles the pause, from a second on; the random byte takes off
    /// up to half, so that a thousand isolates do not come back in step.
    pub(crate) fn failed(&mut self, now: UnixMillis, jitter: u8) {
        let doublings = self.failures.min(MAX_DOUBLINGS);
        let longest = (FIRST_PAUSE_MS << doublings).min(self.max_pause_ms);
        let pause = longest - longest / 2 * u64::from(jitter) / u64::from(u8::MAX);
        self.failures = self.failures.saturating_add(1);
        self.pause = Some((now, pause.max(FIRST_PAUSE_MS)));
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::new(self.max_pause_ms);
    }

    /// Whether the last attempt failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Milliseconds until the next attempt is due.
    pub(crate) fn wait_ms(&self, now: UnixMillis) -> u64 {
        self.pause
            .map_or(0, |(at, pause)| pause.saturating_sub(now.millis_since(at)))
    }
}

const FIRST_PAUSE_MS: u64 = 1_000;

/// 2¹⁰ s is longer than any pause asked for, and far from overflowing.
const MAX_DOUBLINGS: u32 = 10;
