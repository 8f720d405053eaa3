//! A verifier that fetches what it needs, for backends on tokio: the issuer's keys and its
//! revocations, in the background, by the same machines as every other host.
//!
//! ```no_run
//! use shared_claims::Policy;
//! use shared_claims::fetch::{RemoteVerifier, Sources};
//!
//! # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::new("https://id.example.com", "orders");
//! let verifier = RemoteVerifier::new(policy, Sources::of_issuer("https://id.example.com")?)?;
//! let claims = verifier.verify(token).await?;
//! println!("hello {}", claims.sub);
//! # Ok(())
//! # }
//! ```
//!
//! 1. Nothing is decided here. The caches say what to fetch and when; after every wait they are
//!    asked again.
//! 2. A fetch is a task of its own: it goes on when the request that began it is dropped.
//! 3. No lock is held across an await.
//!
//! `https` needs a TLS feature of reqwest, which the application chooses:
//! `reqwest = { version = "0.13", features = ["rustls"] }`. Without one every fetch fails, and
//! [`RemoteVerifier::ready`] says so. With `rustls-no-provider`, which any crate of a program can
//! turn on, the program has to install a provider before it makes a verifier: reqwest panics
//! when there is none.

mod clock;
mod edge;
mod feed;
mod http;
mod keys;
mod sources;

use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::claims::{AccessClaims, Verified};
use crate::error::VerifyError;
use crate::feed_cache::FeedCache;
use crate::jws::UnverifiedToken;
use crate::kernel::KernelReport;
use crate::key_cache::{CacheState, KeyCache, KeyCacheTtl};
use crate::policy::Policy;
use crate::time::UnixMillis;
use crate::verifier::Verifier;

pub use clock::{Clock, system_clock};
pub use edge::EdgeVerifier;
pub use sources::{SourceError, Sources};

use http::Http;

/// Verifies tokens with keys and revocations that it keeps fresh. Cheap to clone; every clone
/// shares them. To be used on a tokio runtime.
#[derive(Clone)]
pub struct RemoteVerifier(Arc<Inner>);

pub(crate) struct Inner {
    verifier: Verifier,
    sources: Sources,
    http: Http,
    clock: Clock,
    state: Mutex<State>,
}

/// What is known. Plain data, looked at and changed between two awaits.
struct State {
    keys: KeyCache,
    feed: FeedCache,
    feed_keys: KeyCache,
    /// When a token was last accepted: polling goes on for a while after that.
    used_at: Option<UnixMillis>,
    is_polling: bool,
}

/// Why there is no verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The token is not good.
    Refused(VerifyError),
    /// Keys, or the first revocations, cannot be had at present.
    Unavailable {
        /// Seconds after which to try again.
        retry_after_secs: u64,
    },
}

/// How a verifier is, for a status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteState {
    /// How the keys are.
    pub keys: CacheState,
    /// Seconds since they came from the issuer.
    pub keys_age_secs: Option<u64>,
    /// Seconds since the instant up to which all revocations are known. Raise an alarm on it:
    /// while the feed is away tokens are judged by what was last known.
    pub revocations_age_secs: Option<u64>,
    /// How signatures are verified. Raise an alarm on `n_alarms` above 0.
    pub kernel: KernelReport,
}

impl RemoteVerifier {
    /// A verifier for this policy. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`SourceError::Client`].
    pub fn new(policy: Policy, sources: Sources) -> Result<Self, SourceError> {
        Self::with_clock(policy, sources, system_clock())
    }

    /// The same with another clock: for tests.
    ///
    /// # Errors
    /// [`SourceError::Client`].
    pub fn with_clock(policy: Policy, sources: Sources, clock: Clock) -> Result<Self, SourceError> {
        let state = State {
            keys: KeyCache::new(KeyCacheTtl::default()),
            feed: FeedCache::new(policy.issuer.clone()),
            feed_keys: KeyCache::new(KeyCacheTtl::default()),
            used_at: None,
            is_polling: false,
        };
        Ok(Self(Arc::new(Inner {
            verifier: Verifier::new(policy),
            sources,
            http: Http::new()?,
            clock,
            state: Mutex::new(state),
        })))
    }

    /// Verifies a token, revocation included, fetching first what is missing.
    ///
    /// # Errors
    /// Both variants of [`FetchError`].
    pub async fn verify(&self, token: &str) -> Result<Verified<AccessClaims>, FetchError> {
        let token = UnverifiedToken::parse(token)?;
        let inner = &self.0;
        // Dropped before revocations are waited for, which may take half a second.
        let verified = inner.verify_signed(token).await?;
        if inner.sources.revocations.is_some() {
            inner.check_revocations(&verified).await?;
            inner.keep_polling();
        }
        Ok(verified)
    }

    /// Returns when all is there that verifying needs, fetching it if it must: before a server
    /// begins to listen.
    ///
    /// # Errors
    /// [`FetchError::Unavailable`].
    pub async fn ready(&self) -> Result<(), FetchError> {
        self.0.load_keys().await?;
        match self.0.sources.revocations {
            Some(_) => self.0.load_revocations().await,
            None => Ok(()),
        }
    }

    /// How it is.
    pub fn state(&self) -> RemoteState {
        let now = self.0.now();
        let state = self.0.state();
        RemoteState {
            keys: state.keys.state(now),
            keys_age_secs: state.keys.age_secs(now),
            revocations_age_secs: state.feed.held().map(|held| held.age_secs(now.to_secs())),
            kernel: self.0.verifier.kernel(),
        }
    }
}

impl Inner {
    fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// A panic elsewhere leaves plain data behind, which is as good as before.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds as the caches count them.
async fn sleep(ms: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(ms))).await;
}

impl FetchError {
    /// The stable name of this refusal, the same in every host and language.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Unavailable { .. } => VerifyError::KeysUnavailable.code(),
        }
    }
}

impl From<VerifyError> for FetchError {
    fn from(error: VerifyError) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unavailable { retry_after_secs } => {
                write!(f, "{} (again in {retry_after_secs} s)", self.code())
            }
        }
    }
}

impl Error for FetchError {}

impl fmt::Debug for RemoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.0.verifier.policy();
        f.debug_struct("RemoteVerifier")
            .field("policy", policy)
            .field("state", &self.state())
            .finish()
    }
}

/// Why a document could not be had, in words that quote nothing of it.
type Failure = Box<dyn Error + Send + Sync>;

/// A document of the issuer.
type Document = alloc::vec::Vec<u8>;

/// An entity tag, or none.
type Etag = Option<String>;
