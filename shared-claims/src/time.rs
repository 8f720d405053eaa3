//! Instants, always handed in by the caller: nothing here reads a clock.

/// Whole seconds since 1970-01-01T00:00:00Z: the unit of tokens (RFC 7519 §2, `NumericDate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The instant this many seconds after the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The instant this many seconds later; the last one representable at most.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs))
    }

    /// The instant this many seconds earlier; the epoch at the earliest.
    #[must_use]
    pub const fn minus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs))
    }

    /// Seconds from `earlier` to this instant; 0 when `earlier` is the later one.
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z: the unit of the caches, which act several times
/// a second. It is what `Date.now()` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The instant this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The second this instant lies in.
    pub const fn to_secs(self) -> UnixTime {
        UnixTime(self.0 / 1000)
    }

    /// Milliseconds from `earlier` to this instant. An `earlier` that lies ahead counts as
    /// this instant up to 30 s, and further ahead as endless: the clock was set back, and
    /// whatever was recorded before must be fetched anew rather than stay fresh for ever.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        if earlier.0 > self.0.saturating_add(CLOCK_STEP_MS) {
            return u64::MAX;
        }
        self.0.saturating_sub(earlier.0)
    }
}

impl From<UnixTime> for UnixMillis {
    fn from(time: UnixTime) -> Self {
        Self(time.0.saturating_mul(1000))
    }
}

/// Clocks that are kept in step are corrected by less than this.
const CLOCK_STEP_MS: u64 = 30_000;
