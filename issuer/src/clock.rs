//! The time, as a parameter. Nothing else in this crate asks the system for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::Serializer;
use serde::ser::Error;
use shared_claims::UnixTime;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that stands still until a test moves it; microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn manual(at: OffsetDateTime) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(micros(
            at - OffsetDateTime::UNIX_EPOCH,
        ))))
    }

    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's time"
    )]
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Manual(at) => {
                OffsetDateTime::UNIX_EPOCH + Duration::microseconds(at.load(Ordering::SeqCst))
            }
        }
    }

    /// Now, in whole seconds, as tokens carry it.
    pub fn unix(&self) -> UnixTime {
        unix(self.now())
    }

    /// Moves a manual clock; the system's does not move.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(micros(by), Ordering::SeqCst);
        }
    }
}

/// Whole seconds since 1970, rounded down; 0 for anything before.
pub fn unix(at: OffsetDateTime) -> UnixTime {
    UnixTime::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0))
}

/// Writes an instant into JSON as RFC 3339.
///
/// # Errors
/// Those of the serializer.
pub fn rfc3339<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = at.format(&Rfc3339).map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}

/// The same for an instant that may be missing.
///
/// # Errors
/// Those of the serializer.
pub fn rfc3339_option<S: Serializer>(
    at: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.whole_microseconds()).expect("292 000 years are enough")
}
