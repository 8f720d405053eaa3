//! The revocation feed: asked when the cache says so, and for a while after the last use.

use core::time::Duration;
use std::sync::{Arc, Weak};

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::http::Answer;
use super::keys::{Look, Purpose, jitter, look};
use super::{FetchError, Inner, sleep};
use crate::claims::{AccessClaims, Verified};
use crate::error::VerifyError;
use crate::feed_cache::{Consult, FeedReport, Poll, Recency};
use crate::key_cache::Ticket;
use crate::limits::MAX_FEED_BYTES;
use crate::revocations::{RevocationDocument, Revocations};

/// What to do before a token is judged.
enum Step {
    /// What is held has the last word.
    Judge(Result<(), VerifyError>, Option<Poll>),
    /// Ask, and wait so many milliseconds for it.
    Poll(Poll, u32),
    /// Look again after so many milliseconds.
    Wait(u32),
}

impl Inner {
    /// Refuses a token that is known to be revoked. Like the edge by default, it prefers
    /// accepting a token that may be revoked to refusing everybody while the feed is away.
    pub(super) async fn check_revocations(
        self: &Arc<Self>,
        token: &Verified<AccessClaims>,
    ) -> Result<(), FetchError> {
        let mut waited_ms = 0;
        loop {
            let judge = |held: &Revocations| held.check(token);
            match self.consult(waited_ms, judge) {
                Step::Judge(verdict, poll) => {
                    if let Some(poll) = poll {
                        self.spawn_poll(poll);
                    }
                    return Ok(verdict?);
                }
                step => waited_ms += self.wait(step).await,
            }
        }
    }

    /// Until there is a first document.
    pub(super) async fn load_revocations(self: &Arc<Self>) -> Result<(), FetchError> {
        let mut waited_ms = 0;
        while self.state().feed.held().is_none() {
            match self.consult(waited_ms, |_| Ok(())) {
                Step::Judge(_, poll) => {
                    if let Some(poll) = poll {
                        self.spawn_poll(poll);
                    }
                    let retry_after_secs = 1;
                    return Err(FetchError::Unavailable { retry_after_secs });
                }
                step => waited_ms += self.wait(step).await,
            }
        }
        Ok(())
    }

    /// Asks if it is time to, without anybody waiting.
    pub(super) fn poll_if_due(self: &Arc<Self>) {
        if self.sources.revocations.is_none() {
            return;
        }
        match self.consult(u32::MAX, |_| Ok(())) {
            Step::Judge(_, Some(poll)) | Step::Poll(poll, _) => {
                self.spawn_poll(poll);
            }
            Step::Judge(_, None) | Step::Wait(_) => {}
        }
    }

    /// Polls on for a while, so that what was revoked a moment ago is known to the next call.
    pub(super) fn keep_polling(self: &Arc<Self>) {
        let now = self.now();
        let mut state = self.state();
        state.used_at = Some(now);
        if !core::mem::replace(&mut state.is_polling, true) {
            tokio::spawn(poll_while_used(Arc::downgrade(self)));
        }
    }

    fn consult(
        &self,
        waited_ms: u32,
        judge: impl FnOnce(&Revocations) -> Result<(), VerifyError>,
    ) -> Step {
        let now = self.now();
        let mut state = self.state();
        match state.feed.consult(now, RECENCY, waited_ms) {
            Consult::Check(held) | Consult::Stale(Some(held)) => Step::Judge(judge(held), None),
            Consult::Stale(None) => Step::Judge(Ok(()), None),
            Consult::CheckAndPoll(held, poll) => Step::Judge(judge(held), Some(poll)),
            Consult::PollFirst { wait_ms: 0, poll } => {
                let verdict = state.feed.held().map_or(Ok(()), judge);
                Step::Judge(verdict, Some(poll))
            }
            Consult::PollFirst { wait_ms, poll } => Step::Poll(poll, wait_ms),
            Consult::Wait { again_after_ms } => Step::Wait(again_after_ms),
        }
    }

    /// Waits as a step says; returns for how long it was meant to.
    async fn wait(self: &Arc<Self>, step: Step) -> u32 {
        match step {
            Step::Judge(..) => 0,
            Step::Poll(poll, ms) => {
                let limit = Duration::from_millis(u64::from(ms));
                timeout(limit, self.spawn_poll(poll)).await.ok();
                ms
            }
            Step::Wait(ms) => {
                sleep(ms).await;
                ms
            }
        }
    }

    fn spawn_poll(self: &Arc<Self>, poll: Poll) -> JoinHandle<()> {
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.poll(poll).await })
    }

    async fn poll(self: &Arc<Self>, poll: Poll) {
        let Some(sources) = &self.sources.revocations else {
            return;
        };
        let mut url = sources.feed.clone();
        if let Some(since) = poll.since {
            let since = alloc::format!("since={since}");
            url.set_query(Some(&since));
        }
        let answer = self.http.get(url, poll.etag, MAX_FEED_BYTES).await;
        match answer {
            Ok(Answer::Document(jws, etag)) => {
                let jws = core::str::from_utf8(&jws).unwrap_or_default().trim_ascii();
                self.take_in(poll.ticket, jws, etag.as_deref()).await;
            }
            Ok(Answer::NotModified) => self.report(poll.ticket, FeedReport::NotModified),
            Err(_) => self.report(poll.ticket, FeedReport::Failed { jitter: jitter() }),
        }
    }

    /// Judges a document by the key that it names, which may have to be fetched first.
    async fn take_in(self: &Arc<Self>, ticket: Ticket, jws: &str, etag: Option<&str>) {
        let failed = FeedReport::Failed { jitter: jitter() };
        let Ok(kid) = RevocationDocument::unverified_kid(jws) else {
            return self.report(ticket, failed);
        };
        for _ in 0..LOOKS {
            let now = self.now();
            let step = look(&mut self.state().feed_keys, now, &kid, 0, Clone::clone);
            match step {
                Ok(Look::Done(keys, refresh)) => {
                    if let Some(refresh) = refresh {
                        self.spawn_load(Purpose::Feed, refresh);
                    }
                    let answered = FeedReport::Answered {
                        jws,
                        keys: &keys,
                        etag,
                        jitter: jitter(),
                    };
                    return self.report(ticket, answered);
                }
                Ok(Look::Load(load)) => {
                    self.spawn_load(Purpose::Feed, load).await.ok();
                }
                Ok(Look::Wait(ms)) => sleep(ms).await,
                Err(_) => break,
            }
        }
        self.report(ticket, failed);
    }

    fn report(&self, ticket: Ticket, report: FeedReport<'_>) {
        let now = self.now();
        // A document that is refused counts as a failure, and what was held stays.
        self.state().feed.report(now, ticket, report).ok();
    }
}

/// Ends with the verifier, or some time after it was last used.
async fn poll_while_used(verifier: Weak<Inner>) {
    loop {
        sleep(TICK_MS).await;
        let Some(inner) = verifier.upgrade() else {
            return;
        };
        let now = inner.now();
        let mut state = inner.state();
        if state
            .used_at
            .is_none_or(|at| now.millis_since(at) >= IDLE_AFTER_MS)
        {
            state.is_polling = false;
            return;
        }
        drop(state);
        inner.poll_if_due();
    }
}

/// The bound of the edge by default. While a verifier is in use it polls once a second, so that
/// this matters after a pause and when the issuer is away.
const RECENCY: Recency = Recency::Bounded { max_age_secs: 30 };

/// The cache polls once a second; looking more often keeps that from becoming two.
const TICK_MS: u32 = 250;

/// A minute.
const IDLE_AFTER_MS: u64 = 60_000;

/// Two polls may look for the feed's first key at once: the second one waits for the first, in
/// steps of 25 ms, for as long as a fetch may take.
const LOOKS: u32 = 130;
