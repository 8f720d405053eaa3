//! Requests to the issuer: bounded in time and size, redirects refused.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use worker::{
    AbortController, AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    Response,
};

use super::clock;

/// What the issuer answered.
#[derive(Debug)]
pub struct Fetched {
    /// 200 or 304.
    pub status: u16,
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The body, empty with 304.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFault {
    /// No connection, or it broke.
    Unreachable,
    /// Not within the time.
    TimedOut,
    /// Neither 200 nor 304; redirects too, because they lead away from the issuer.
    Status,
    /// Larger than allowed.
    TooLarge,
}

impl FetchFault {
    /// For the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Status => "unexpected_status",
            Self::TooLarge => "too_large",
        }
    }
}

/// Fetches a URL.
///
/// # Errors
/// Every variant of [`FetchFault`].
pub async fn get(
    url: &str,
    etag: Option<&str>,
    timeout_ms: u32,
    max_bytes: usize,
) -> Result<Fetched, FetchFault> {
    within(timeout_ms, async |signal| {
        get_whole(url, etag, signal, max_bytes).await
    })
    .await
}

/// A question to the issuer in the name of a service. It holds tokens, hence no `Debug`.
pub struct Asked<'a> {
    /// The whole URL.
    pub url: String,
    /// The service's own token.
    pub service_token: &'a str,
    /// The token of the user it acts for, where one is needed.
    pub user_token: Option<&'a str>,
    /// The idempotency key.
    pub key: &'a str,
    /// A JSON body.
    pub body: Option<String>,
}

/// An answer of any status.
#[derive(Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Asks, and reads whatever is answered.
///
/// # Errors
/// [`FetchFault`] when there is no whole answer; whether it was done is then unknown.
pub async fn post(
    asked: &Asked<'_>,
    timeout_ms: u32,
    max_bytes: usize,
) -> Result<Answered, FetchFault> {
    within(timeout_ms, async |signal| {
        post_whole(asked, signal, max_bytes).await
    })
    .await
}

/// Ends a request that takes too long, or of which the rest is not wanted.
async fn within<T>(
    timeout_ms: u32,
    request: impl AsyncFnOnce(&AbortSignal) -> Result<T, FetchFault>,
) -> Result<T, FetchFault> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let answer = pin!(request(&signal));
    let outcome = match select(answer, pin!(clock::sleep(timeout_ms))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(FetchFault::TimedOut),
    };
    if outcome.is_err() {
        controller.abort();
    }
    outcome
}

async fn post_whole(
    asked: &Asked<'_>,
    signal: &AbortSignal,
    max_bytes: usize,
) -> Result<Answered, FetchFault> {
    let request = post_request(asked).map_err(|_| FetchFault::Unreachable)?;
    let answer = Fetch::Request(request).send_with_signal(signal).await;
    let mut response = answer.map_err(|_| FetchFault::Unreachable)?;
    let retry_after = response.headers().get("retry-after").ok().flatten();
    Ok(Answered {
        status: response.status_code(),
        retry_after,
        body: read_capped(&mut response, max_bytes).await?,
    })
}

fn post_request(asked: &Asked<'_>) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {}", asked.service_token))?;
    headers.set("idempotency-key", asked.key)?;
    if let Some(token) = asked.user_token {
        headers.set("x-user-token", token)?;
    }
    let mut init = RequestInit::new();
    if let Some(body) = &asked.body {
        headers.set("content-type", "application/json")?;
        init.with_body(Some(body.as_str().into()));
    }
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(&asked.url, &init)
}

async fn get_whole(
    url: &str,
    etag: Option<&str>,
    signal: &AbortSignal,
    max_bytes: usize,
) -> Result<Fetched, FetchFault> {
    let request = request(url, etag).map_err(|_| FetchFault::Unreachable)?;
    let answer = Fetch::Request(request).send_with_signal(signal).await;
    let mut response = answer.map_err(|_| FetchFault::Unreachable)?;
    let status = response.status_code();
    match status {
        200 => {
            let etag = response.headers().get("etag").ok().flatten();
            let body = read_capped(&mut response, max_bytes).await?;
            Ok(Fetched { status, etag, body })
        }
        304 => Ok(Fetched {
            status,
            etag: None,
            body: Vec::new(),
        }),
        _ => Err(FetchFault::Status),
    }
}

fn request(url: &str, etag: Option<&str>) -> worker::Result<Request> {
    let headers = Headers::new();
    if let Some(etag) = etag {
        headers.set("if-none-match", etag)?;
    }
    let mut init = RequestInit::new();
    init.with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    Request::new_with_init(url, &init)
}

/// Reads a body until its end or the limit, whatever it announces.
///
/// # Errors
/// [`FetchFault::TooLarge`], and [`FetchFault::Unreachable`] when it breaks off.
pub async fn read_capped(response: &mut Response, max_bytes: usize) -> Result<Vec<u8>, FetchFault> {
    let mut chunks = response.stream().map_err(|_| FetchFault::Unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| FetchFault::Unreachable)?;
        if body.len() + chunk.len() > max_bytes {
            return Err(FetchFault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
