//! Keys of tokens and of the feed: what the cache says is done here.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::http::Answer;
use super::{Document, FetchError, Inner, State, sleep};
use crate::claims::{AccessClaims, Verified};
use crate::error::VerifyError;
use crate::jws::UnverifiedToken;
use crate::key_cache::{KeyCache, Lookup, Report, Ticket};
use crate::key_set::KeySet;
use crate::kid::{Kid, thumbprint};
use crate::limits::MAX_KEY_SET_BYTES;
use crate::time::UnixMillis;

/// Which keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Tokens,
    Feed,
}

/// What a look at the cache came to.
pub(super) enum Look<T> {
    /// This, and perhaps a refresh in the background.
    Done(T, Option<Ticket>),
    /// Load first, then look again.
    Load(Ticket),
    /// Look again after so many milliseconds.
    Wait(u32),
}

impl State {
    pub(super) fn keys_of(&mut self, purpose: Purpose) -> &mut KeyCache {
        match purpose {
            Purpose::Tokens => &mut self.keys,
            Purpose::Feed => &mut self.feed_keys,
        }
    }
}

/// Asks the cache, and has `act` use the keys while they are at hand.
pub(super) fn look<T>(
    cache: &mut KeyCache,
    now: UnixMillis,
    kid: &Kid,
    waited_ms: u32,
    act: impl FnOnce(&KeySet) -> T,
) -> Result<Look<T>, FetchError> {
    match cache.lookup(now, kid, waited_ms) {
        Lookup::Use(keys) => Ok(Look::Done(act(keys), None)),
        Lookup::UseAndRefresh(keys, ticket) => Ok(Look::Done(act(keys), Some(ticket))),
        Lookup::Load(ticket) | Lookup::ForcedRefetch(ticket) => Ok(Look::Load(ticket)),
        Lookup::Wait { again_after_ms } => Ok(Look::Wait(again_after_ms)),
        Lookup::UnknownKey => Err(VerifyError::UnknownKey.into()),
        Lookup::Unavailable { retry_after_secs } => {
            Err(FetchError::Unavailable { retry_after_secs })
        }
    }
}

impl Inner {
    /// Everything but revocation.
    pub(super) async fn verify_signed(
        self: &Arc<Self>,
        token: UnverifiedToken<'_>,
    ) -> Result<Verified<AccessClaims>, FetchError> {
        let kid = *token.kid();
        let mut waited_ms = 0;
        loop {
            let now = self.now();
            // A copy, which shares the keys' tables: other threads verify at the same time.
            let step = look(&mut self.state().keys, now, &kid, waited_ms, KeySet::clone)?;
            match step {
                Look::Done(keys, refresh) => {
                    if let Some(ticket) = refresh {
                        self.spawn_load(Purpose::Tokens, ticket);
                    }
                    let now = now.to_secs();
                    return Ok(self.verifier.verify_parsed(None, token, &keys, now)?);
                }
                Look::Load(ticket) => {
                    // While keys are on the way, so can revocations be.
                    self.poll_if_due();
                    self.spawn_load(Purpose::Tokens, ticket).await.ok();
                }
                Look::Wait(ms) => {
                    waited_ms += ms;
                    sleep(ms).await;
                }
            }
        }
    }

    /// Keys of tokens, whichever.
    pub(super) async fn load_keys(self: &Arc<Self>) -> Result<(), FetchError> {
        // While there are no keys every id is answered alike.
        let any = thumbprint(&[0; 32]);
        let mut waited_ms = 0;
        loop {
            let now = self.now();
            let step = {
                let mut state = self.state();
                if state.keys.usable(now).is_some() {
                    return Ok(());
                }
                look(&mut state.keys, now, &any, waited_ms, |_| ())?
            };
            match step {
                Look::Done((), _) => return Ok(()),
                Look::Load(ticket) => {
                    self.poll_if_due();
                    self.spawn_load(Purpose::Tokens, ticket).await.ok();
                }
                Look::Wait(ms) => {
                    waited_ms += ms;
                    sleep(ms).await;
                }
            }
        }
    }

    /// Loads as a task of its own, so that a dropped request leaves no leader behind.
    pub(super) fn spawn_load(self: &Arc<Self>, purpose: Purpose, ticket: Ticket) -> JoinHandle<()> {
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.load(purpose, ticket).await })
    }

    async fn load(&self, purpose: Purpose, ticket: Ticket) {
        let url = match (purpose, &self.sources.revocations) {
            (Purpose::Feed, Some(revocations)) => revocations.keys.clone(),
            _ => self.sources.jwks.clone(),
        };
        let fetched_at = self.now();
        let answer = self.http.get(url, None, MAX_KEY_SET_BYTES).await;
        let document = match answer {
            Ok(Answer::Document(document, _)) => document,
            Ok(Answer::NotModified) | Err(_) => Document::new(),
        };
        let report = match document.as_slice() {
            [] => Report::Failed { jitter: jitter() },
            document => Report::Fetched {
                document,
                fetched_at,
                jitter: jitter(),
            },
        };
        let now = self.now();
        self.state().keys_of(purpose).report(now, ticket, report);
    }
}

/// Spreads the retries of many backends; nothing secret.
pub(super) fn jitter() -> u8 {
    let [byte, ..] = RandomState::new().hash_one(()).to_le_bytes();
    byte
}
