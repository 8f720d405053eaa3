//! Assertions of the gateway, with keys that are kept fresh.

use alloc::string::String;
use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use tokio::task::JoinHandle;

use super::clock::{Clock, system_clock};
use super::http::{Answer, Http};
use super::keys::{Look, jitter, look};
use super::sources::{SourceError, secure};
use super::{Document, FetchError, sleep};
use crate::assertion::{EdgeAssertion, Received, UnverifiedAssertion};
use crate::claims::Verified;
use crate::key_cache::{KeyCache, KeyCacheTtl, Report, Ticket};
use crate::key_set::KeySet;
use crate::limits::MAX_KEY_SET_BYTES;
use crate::policy::Policy;
use crate::time::UnixMillis;

/// Verifies the gateway's assertions: for a backend that can be reached around the gateway. Cheap
/// to clone; every clone shares the keys. To be used on a tokio runtime.
///
/// ```no_run
/// use shared_claims::Received;
/// use shared_claims::fetch::EdgeVerifier;
///
/// # async fn example(x_edge_assertion: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let keys = "https://edge.example.com/.well-known/edge-jwks.json";
/// let verifier = EdgeVerifier::new("tollgate-edge", "orders", keys)?;
/// let received = Received { method: "GET", target: "/orders?page=2" };
/// let assertion = verifier.verify(x_edge_assertion, received).await?;
/// println!("hello {}", assertion.sub.as_deref().unwrap_or("stranger"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EdgeVerifier(Arc<Inner>);

struct Inner {
    policy: Policy,
    jwks: Url,
    http: Http,
    clock: Clock,
    keys: Mutex<KeyCache>,
}

impl EdgeVerifier {
    /// A verifier for one backend. `issuer` is `edge.iss` of the gateway's `edge.toml`, and
    /// `backend` the name of this backend there. Nothing is fetched yet.
    ///
    /// # Errors
    /// Every variant of [`SourceError`].
    pub fn new(
        issuer: impl Into<String>,
        backend: impl Into<String>,
        jwks_url: &str,
    ) -> Result<Self, SourceError> {
        Self::with_clock(Policy::new(issuer, backend), jwks_url, system_clock())
    }

    /// The same with a policy and a clock of the caller's: for other leeway, and for tests.
    ///
    /// # Errors
    /// Every variant of [`SourceError`].
    pub fn with_clock(policy: Policy, jwks_url: &str, clock: Clock) -> Result<Self, SourceError> {
        Ok(Self(Arc::new(Inner {
            policy,
            jwks: secure(jwks_url)?,
            http: Http::new()?,
            clock,
            keys: Mutex::new(KeyCache::new(KeyCacheTtl::default())),
        })))
    }

    /// Verifies the assertion of a request, fetching keys first when they are missing.
    ///
    /// # Errors
    /// Both variants of [`FetchError`].
    pub async fn verify(
        &self,
        assertion: &str,
        received: Received<'_>,
    ) -> Result<Verified<EdgeAssertion>, FetchError> {
        let assertion = UnverifiedAssertion::parse(assertion)?;
        let kid = *assertion.kid();
        let mut waited_ms = 0;
        loop {
            let now = self.0.now();
            let step = look(&mut self.0.keys(), now, &kid, waited_ms, KeySet::clone)?;
            match step {
                Look::Done(keys, refresh) => {
                    if let Some(ticket) = refresh {
                        self.spawn_load(ticket);
                    }
                    let now = now.to_secs();
                    return Ok(assertion.verify(&keys, &self.0.policy, received, now)?);
                }
                Look::Load(ticket) => drop(self.spawn_load(ticket).await),
                Look::Wait(ms) => {
                    waited_ms += ms;
                    sleep(ms).await;
                }
            }
        }
    }

    /// Loads as a task of its own, so that a dropped request leaves no leader behind.
    fn spawn_load(&self, ticket: Ticket) -> JoinHandle<()> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.load(ticket).await })
    }
}

impl Inner {
    fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// A panic elsewhere leaves plain data behind, which is as good as before.
    fn keys(&self) -> MutexGuard<'_, KeyCache> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, ticket: Ticket) {
        let fetched_at = self.now();
        let answer = self
            .http
            .get(self.jwks.clone(), None, MAX_KEY_SET_BYTES)
            .await;
        let document = match answer {
            Ok(Answer::Document(document, _)) => document,
            Ok(Answer::NotModified) | Err(_) => Document::new(),
        };
        let jitter = jitter();
        let report = match document.as_slice() {
            [] => Report::Failed { jitter },
            document => Report::Fetched {
                document,
                fetched_at,
                jitter,
            },
        };
        let now = self.now();
        self.keys().report(now, ticket, report);
    }
}

impl fmt::Debug for EdgeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.keys().state(self.0.now());
        f.debug_struct("EdgeVerifier")
            .field("policy", &self.0.policy)
            .field("keys", &state)
            .finish()
    }
}
