//! The client that makes the calls.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};

use super::address::Reach;
use super::retry_after::RetryAfter;
use super::tls::tls;
use super::url_rule::webhook_url_problem;

/// Calls what users gave.
#[derive(Debug, Clone)]
pub struct OutgoingClient {
    http: Client,
    reach: Reach,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When the receiver wants to be asked again.
    pub retry_after: Option<RetryAfter>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// It leads where calls must not go.
    Address,
    /// It did not answer in time.
    Timeout,
    /// No connection, no TLS, or no answer that was HTTP.
    Unreachable,
}

impl OutgoingClient {
    /// A client that keeps to its reach.
    pub fn new(reach: Reach) -> Self {
        let http = Client::builder()
            .tls_backend_preconfigured(tls())
            .https_only(!reach.includes_loopback())
            .dns_resolver(Arc::new(GuardedResolver(reach)))
            // A proxy would resolve the name itself.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            // An idle connection would outlive the check of its address.
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .timeout(ANSWER_WITHIN)
            .build()
            .expect("a client with these settings can be made");
        Self { http, reach }
    }

    /// How far it goes.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Posts a JSON document.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, SendError> {
        // A number in place of a name is never resolved, so it is judged here.
        if webhook_url_problem(url, self.reach).is_some() {
            return Err(SendError::Address);
        }
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| SendError::Unreachable)?;
            map.insert(HeaderName::from_static(name), value);
        }
        let sent = self.http.post(url).headers(map).body(body).send().await;
        let response = sent.map_err(|error| judge(&error))?;
        let wish = response.headers().get(RETRY_AFTER);
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: wish
                .and_then(|value| value.to_str().ok())
                .and_then(RetryAfter::parse),
        };
        hear_out(response).await;
        Ok(answer)
    }
}

/// A short answer is taken in, so that its sender sees it arrive; of a long one the rest is not.
async fn hear_out(mut response: Response) {
    let mut n_bytes = 0_usize;
    while let Ok(Some(chunk)) = response.chunk().await {
        n_bytes = n_bytes.saturating_add(chunk.len());
        if n_bytes > MAX_ANSWER_BYTES {
            return;
        }
    }
}

fn judge(error: &reqwest::Error) -> SendError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<ForbiddenAddress>() {
            return SendError::Address;
        }
        cause = error.source();
    }
    match error.is_timeout() {
        true => SendError::Timeout,
        false => SendError::Unreachable,
    }
}

/// Resolves names, and answers only when every address may be called: one of several that may not
/// be is no mistake of its owner's.
struct GuardedResolver(Reach);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            if !found.iter().all(|address| reach.allows(address.ip())) {
                return Err(ForbiddenAddress.into());
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[derive(Debug)]
struct ForbiddenAddress;

impl fmt::Display for ForbiddenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to an address that must not be called")
    }
}

impl Error for ForbiddenAddress {}

const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
/// Name, connection, TLS and answer together: a receiver notes the message and works on it later.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What a receiver has to say fits into a line; more is an attempt to keep us busy.
const MAX_ANSWER_BYTES: usize = 16_384;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// The rule of URLs refuses this name before it is resolved. Any other name may lead to the
    /// same place, so what resolves names must refuse it too.
    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let client = OutgoingClient::new(Reach::Public);
        let sent = client.http.post(format!("https://localhost:{port}/"));
        let error = sent.send().await.expect_err("refused");
        assert_eq!(judge(&error), SendError::Address);
        let nobody = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
        assert!(nobody.is_err(), "nothing was connected");
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_is_unreachable() {
        let client = OutgoingClient::new(Reach::Public);
        let url = "https://nowhere.invalid/";
        let error = client.post(url, &[], String::new()).await;
        assert_eq!(error, Err(SendError::Unreachable));
    }
}
