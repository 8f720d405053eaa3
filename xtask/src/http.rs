//! A small HTTP client for talking to what we started.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

/// The issuer of a development system.
pub const ISSUER: &str = "http://127.0.0.1:3001";
/// Its edge.
pub const EDGE: &str = "http://127.0.0.1:8787";
/// The backend behind the edge.
pub const BACKEND: &str = "http://127.0.0.1:9000";

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, `null` when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// A member of the body as text; empty when it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A member of the body as a number.
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.body.pointer(pointer).and_then(Value::as_i64)
    }
}

/// Asks for a page.
pub fn get(url: &str) -> Result<Answer> {
    send("GET", url, &[], None)
}

/// Sends a request and reads the whole answer.
pub fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let asked = || format!("{method} {url}");
    let mut answer = match body {
        None => agent().run(request.body(()).with_context(asked)?),
        Some(body) => {
            let request = request.header("content-type", "application/json");
            agent().run(request.body(body.to_string()).with_context(asked)?)
        }
    }
    .with_context(asked)?;
    let text = answer.body_mut().read_to_string().with_context(asked)?;
    Ok(Answer {
        status: answer.status().as_u16(),
        body: serde_json::from_str(&text).unwrap_or_default(),
    })
}

/// A new connection for each request: what is measured is what a stranger would see. No proxy:
/// everything is on this machine.
fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .proxy(None)
        .build()
        .new_agent()
}

/// Longer than any answer of ours may take.
const TIMEOUT: Duration = Duration::from_secs(10);
