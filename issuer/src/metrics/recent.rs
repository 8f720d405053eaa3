//! How many requests were answered in the last minutes, and how many of them failed.

use std::sync::Mutex;

/// Counts of the last few minutes.
#[derive(Debug, Default)]
pub struct Recent {
    minutes: Mutex<[Minute; N_MINUTES]>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Minute {
    number: u64,
    counts: RecentCounts,
}

/// How many requests were answered, by whose fault they failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RecentCounts {
    /// All.
    pub answered: u64,
    /// Refused by rule: status 400 to 499.
    pub refused: u64,
    /// Failed by ours: status 500 and above.
    pub failed: u64,
}

impl Recent {
    /// Notes an answer in a minute, counted from any beginning.
    pub fn note(&self, minute: u64, status: u16) {
        let mut minutes = self.minutes.lock().expect("no holder of this lock panics");
        let slot = &mut minutes[usize::try_from(minute).unwrap_or(0) % N_MINUTES];
        if slot.number != minute {
            *slot = Minute {
                number: minute,
                counts: RecentCounts::default(),
            };
        }
        slot.counts.answered += 1;
        slot.counts.refused += u64::from((400..500).contains(&status));
        slot.counts.failed += u64::from(status >= 500);
    }

    /// What was noted in this minute and those before it that are kept.
    pub fn counts(&self, minute: u64) -> RecentCounts {
        let minutes = self.minutes.lock().expect("no holder of this lock panics");
        let is_kept = |number| number <= minute && minute - number < N_MINUTES as u64;
        let kept = minutes.iter().filter(|slot| is_kept(slot.number));
        kept.fold(RecentCounts::default(), |sum, slot| RecentCounts {
            answered: sum.answered + slot.counts.answered,
            refused: sum.refused + slot.counts.refused,
            failed: sum.failed + slot.counts.failed,
        })
    }
}

/// Long enough to smooth chance, short enough to show what is going on now.
pub const N_MINUTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(answered: u64, refused: u64, failed: u64) -> RecentCounts {
        RecentCounts {
            answered,
            refused,
            failed,
        }
    }

    #[test]
    fn answers_are_counted_by_whose_fault_they_are_for_five_minutes() {
        let recent = Recent::default();
        assert_eq!(recent.counts(0), counts(0, 0, 0));
        for status in [200, 304, 399, 400, 499, 500, 503] {
            recent.note(0, status);
        }
        recent.note(4, 200);
        assert_eq!(recent.counts(4), counts(8, 2, 2));
        assert_eq!(
            recent.counts(5),
            counts(1, 0, 0),
            "the first minute is over"
        );
        recent.note(5, 500);
        assert_eq!(recent.counts(5), counts(2, 0, 1), "its place is used again");
        assert_eq!(recent.counts(900), counts(0, 0, 0));
    }
}
