//! Time and chance. In Workers the clock stands still while code runs.

use core::time::Duration;

use shared_claims::UnixMillis;
use worker::js_sys::Math;
use worker::{Date, Delay};

/// The time of the last event of the runtime.
pub fn now() -> UnixMillis {
    UnixMillis::from_millis(Date::now().as_millis())
}

/// Waits on a timer of the current request.
pub async fn sleep(millis: u32) {
    Delay::from(Duration::from_millis(u64::from(millis))).await;
}

/// A byte that differs from isolate to isolate, so that they do not retry in step.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Math.random() is from 0 up to but not including 1, so that the product is a byte"
)]
pub fn jitter() -> u8 {
    (Math::random() * 256.0) as u8
}
