//! The cache of the data centre. It may lose anything at any time, and other Workers of
//! the zone can write to it; a failure is a miss.

use worker::{Cache, Response};

use super::fetch;

/// The text stored under a URL, if it is there and not larger than a key set's copy.
pub async fn get(key: &str) -> Option<String> {
    let mut found = Cache::default().get(key, false).await.ok().flatten()?;
    let bytes = fetch::read_capped(&mut found, MAX_COPY_BYTES).await.ok()?;
    String::from_utf8(bytes).ok()
}

/// Stores a text under a URL for a number of seconds.
pub async fn put(key: &str, text: String, max_age_secs: u64) {
    let max_age = format!("max-age={max_age_secs}");
    let response = Response::builder().with_header("cache-control", &max_age);
    if let Ok(response) = response {
        let response = response.fixed(text.into_bytes());
        // A copy that could not be stored is one that will be missed.
        let _ = Cache::default().put(key, response).await;
    }
}

/// A key set of 64 KiB with the lines before it.
const MAX_COPY_BYTES: usize = 66 * 1024;
