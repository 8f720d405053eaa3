//! One JSON line per event; never a token, a key or a backend's address.

use serde::Serialize;
use worker::console_log;

#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    what: &'a str,
    outcome: &'a str,
}

/// Notes what became of talking to the issuer or of setting up the Worker.
pub fn event(event: &str, what: &str, outcome: &str) {
    let line = serde_json::to_string(&Line {
        event,
        what,
        outcome,
    });
    console_log!("{}", line.unwrap_or_default());
}
