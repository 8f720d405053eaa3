//! Bonus and free credits.

use super::Source;

/// What the issuer gives away.
#[derive(Debug, Clone, Copy)]
pub struct CreditsConfig {
    /// `CREDITS_SIGNUP_BONUS`: credits at registration; 0 is off.
    pub signup_bonus: i64,
    /// `CREDITS_DAILY_FREE`: credits every 24 hours; 0 is off.
    pub daily_free: i64,
    /// `CREDITS_DAILY_FREE_EXPIRES_HOURS`: when unspent daily credits lapse; 0 is never.
    pub daily_free_expires_hours: i32,
    /// `CREDITS_PER_EUR`: the price of credits.
    pub per_eur: i64,
}

impl CreditsConfig {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let hours = source.number("CREDITS_DAILY_FREE_EXPIRES_HOURS", 0, 0..=MAX_EXPIRY_HOURS);
        Self {
            signup_bonus: source.number("CREDITS_SIGNUP_BONUS", 150, 0..=MAX_GIVEN),
            daily_free: source.number("CREDITS_DAILY_FREE", 5, 0..=MAX_GIVEN),
            daily_free_expires_hours: i32::try_from(hours).unwrap_or(0),
            per_eur: source.number("CREDITS_PER_EUR", 100, 1..=MAX_GIVEN),
        }
    }
}

/// A slip of the keyboard must not give away a fortune.
const MAX_GIVEN: i64 = 1_000_000;
/// A year.
const MAX_EXPIRY_HOURS: i64 = 8_760;
