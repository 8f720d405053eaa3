//! A client that tells what it knows from what it does not: an answer counts when all of it came.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One address; a connection for each request.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Whether it says when to come again.
    pub has_retry_after: bool,
    /// Its body; `null` when it is not JSON.
    pub body: Value,
}

impl Reply {
    /// A member of the body as text; empty when it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.body.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    }
}

impl Client {
    /// Of an address such as `127.0.0.1:3001`.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
        }
    }

    /// Whether `/ready` answers 200.
    pub fn is_ready(&self) -> bool {
        self.get("/ready", "")
            .is_some_and(|reply| reply.status == 200)
    }

    /// GET; nothing when no whole answer came.
    pub fn get(&self, path: &str, token: &str) -> Option<Reply> {
        self.exchange("GET", path, token, None).ok()
    }

    /// POST under `/api/v1`; nothing when no whole answer came.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> Option<Reply> {
        let path = format!("/api/v1{path}");
        self.exchange("POST", &path, token, Some(body)).ok()
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let authorization = match token.is_empty() {
            true => String::new(),
            false => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{authorization}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        read(&answer)
    }
}

/// Reads an answer that says its length, as each of the issuer's does.
fn read(answer: &[u8]) -> Result<Reply> {
    let text = std::str::from_utf8(answer)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no whole head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let length: usize = header("content-length").unwrap_or("0").parse()?;
    ensure!(body.len() >= length, "not the whole body");
    Ok(Reply {
        status,
        has_retry_after: header("retry-after").is_some(),
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}

/// Runs something and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// Longer than anything may take: whoever waits this long counts as hanging.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_that_breaks_off_is_none() {
        let whole = b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";
        let reply = read(whole).unwrap();
        assert_eq!((reply.status, reply.has_retry_after), (503, true));
        assert_eq!(reply.body["a"], 1);
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err(), "{n}");
        }
    }
}
