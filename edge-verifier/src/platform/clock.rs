//! Time and chance. In Workers the clock stands still while code runs.

use core::time::Duration;

use sha2::{Digest, Sha256};
use shared_claims::UnixMillis;
use worker::js_sys::{self, Function, Math, Reflect};
use worker::wasm_bindgen::{JsCast, JsError, JsValue};
use worker::{Date, Delay};

use crate::state::Seed;

/// The time of the last event of the runtime.
pub fn now() -> UnixMillis {
    UnixMillis::from_millis(Date::now().as_millis())
}

/// Waits on a timer of the current request.
pub async fn sleep(millis: u32) {
    Delay::from(Duration::from_millis(u64::from(millis))).await;
}

/// A secret for this isolate, by the runtime's own source of randomness. Two ids of 122 random bits
/// each are asked for, because text is what comes over without a copy of memory.
///
/// # Errors
/// When the runtime has no such source, in words.
pub fn seed() -> Result<Seed, JsError> {
    let random = || random_uuid().map_err(|_| JsError::new("there is no crypto.randomUUID"));
    let hash = Sha256::new()
        .chain_update(random()?)
        .chain_update(random()?)
        .finalize();
    Ok(Seed(hash.into()))
}

fn random_uuid() -> Result<String, JsValue> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())?;
    let random: Function = Reflect::get(&crypto, &"randomUUID".into())?.dyn_into()?;
    random.call0(&crypto)?.as_string().ok_or(JsValue::NULL)
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
