//! When a receiver wants to be asked again.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A `Retry-After` header (RFC 9110, section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So many seconds from now.
    Seconds(i64),
    /// At this moment.
    At(OffsetDateTime),
}

impl RetryAfter {
    /// Digits or a date; anything else is no wish.
    pub fn parse(header: &str) -> Option<Self> {
        let text = header.trim();
        if text.is_empty() {
            return None;
        }
        if text.bytes().all(|c| c.is_ascii_digit()) {
            // More digits than fit mean very long.
            return Some(Self::Seconds(text.parse().unwrap_or(i64::MAX)));
        }
        // The date of HTTP (section 5.6.7) is one of mail.
        let at = OffsetDateTime::parse(text, &Rfc2822);
        at.ok().map(Self::At)
    }

    /// Seconds from `now`; none when the moment is over.
    pub fn secs_from(self, now: OffsetDateTime) -> i64 {
        match self {
            Self::Seconds(secs) => secs,
            Self::At(at) => (at - now).whole_seconds().max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

    fn secs(header: &str) -> Option<i64> {
        RetryAfter::parse(header).map(|wish| wish.secs_from(NOW))
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(secs("120"), Some(120));
        assert_eq!(secs(" 0 "), Some(0));
        assert_eq!(secs("99999999999999999999"), Some(i64::MAX));
        assert_eq!(secs("Sun, 01 Mar 2026 12:10:00 GMT"), Some(600));
        assert_eq!(secs("Sun, 01 Mar 2026 11:00:00 GMT"), Some(0));
    }

    #[test]
    fn anything_else_is_no_wish() {
        for header in [
            "",
            "soon",
            "-5",
            "1.5",
            "+3",
            "12 s",
            "Sun, 32 Mar 2026 12:10:00 GMT",
        ] {
            assert_eq!(secs(header), None, "{header:?}");
        }
    }
}
