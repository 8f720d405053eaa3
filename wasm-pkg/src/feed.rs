//! The revocation feed: when to ask, whom to believe, and what is revoked.

use alloc::string::String;

use shared_claims::{
    AccessClaims, Consult, FeedCache, FeedReport, Poll, Recency, RevocationDocument, Revocations,
    Ticket, UnixMillis, Verified, VerifyError,
};

use crate::instance::{Answer, Patience};
use crate::keys::Keys;

/// The feed of one issuer.
#[derive(Debug)]
pub(crate) struct Feed {
    cache: FeedCache,
    keys: Keys,
    wanted: Option<Poll>,
}

/// The answer to a poll.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'a> {
    /// The body.
    pub(crate) jws: &'a str,
    /// The header `ETag`.
    pub(crate) etag: Option<&'a str>,
    /// A random byte.
    pub(crate) jitter: u8,
}

/// What came of the answer to a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The poll is over.
    Done,
    /// Do the errand for keys of the feed, then hand in the same answer again.
    NeedsKeys,
}

impl Feed {
    /// The feed of this issuer, of which nothing is known yet.
    pub(crate) fn new(issuer: &str) -> Self {
        Self {
            cache: FeedCache::new(issuer),
            keys: Keys::fetched(),
            wanted: None,
        }
    }

    /// What to do before what is held is checked against; `None` when that can be done now.
    pub(crate) fn consult(&mut self, now: UnixMillis, patience: Patience) -> Option<Answer> {
        let wait = self.ask(now, patience.for_poll_ms());
        if self.cache.held().is_none() && patience == Patience::None {
            return Some(UNAVAILABLE);
        }
        wait
    }

    /// What to do until there is a first document; then `Accept`.
    pub(crate) fn prepare(&mut self, now: UnixMillis, patience: Patience) -> Answer {
        if self.cache.held().is_some() {
            return Answer::Accept(String::new());
        }
        self.consult(now, patience).unwrap_or(UNAVAILABLE)
    }

    /// Refuses a token that is known to be revoked.
    pub(crate) fn check(&self, token: &Verified<AccessClaims>) -> Result<(), VerifyError> {
        match self.cache.held() {
            Some(revocations) => revocations.check(token),
            // The issuer could not be reached since the start. Like the edge by default, we
            // prefer accepting a token that may be revoked to refusing everybody.
            None => Ok(()),
        }
    }

    /// The revocations held, when they are recent and no poll is due.
    pub(crate) fn current(&self, now: UnixMillis) -> Option<&Revocations> {
        self.cache.current(now, RECENCY)
    }

    /// Wants a poll if one is due, whether or not anybody asks.
    pub(crate) fn poll_if_due(&mut self, now: UnixMillis) {
        self.ask(now, u32::MAX);
    }

    /// The poll to make, unless somebody has taken it.
    pub(crate) fn take_wanted(&mut self) -> Option<Poll> {
        self.wanted.take()
    }

    /// The keys that sign the feed.
    pub(crate) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Takes in the answer to a poll. A document that is refused counts as a failure, and what
    /// was held stays.
    pub(crate) fn answered(
        &mut self,
        now: UnixMillis,
        ticket: Ticket,
        answer: Answered<'_>,
    ) -> Outcome {
        let Answered { jws, etag, jitter } = answer;
        let jws = jws.trim_ascii();
        let kid = RevocationDocument::unverified_kid(jws).ok();
        let report = match kid.map(|kid| self.keys.find(&kid, now, 0)) {
            Some(Ok(keys)) => FeedReport::Answered {
                jws,
                keys,
                etag,
                jitter,
            },
            Some(Err(Answer::AwaitKeys)) => return Outcome::NeedsKeys,
            Some(Err(_)) | None => FeedReport::Failed { jitter },
        };
        self.cache.report(now, ticket, report).ok();
        Outcome::Done
    }

    /// Takes in that what is held is the latest.
    pub(crate) fn not_modified(&mut self, now: UnixMillis, ticket: Ticket) {
        self.cache.report(now, ticket, FeedReport::NotModified).ok();
    }

    /// The revocations held, however old.
    pub(crate) fn held(&self) -> Option<&Revocations> {
        self.cache.held()
    }

    /// Asks the cache, and remembers the poll it may want together with the keys to judge the
    /// answer by: the two are fetched side by side.
    fn ask(&mut self, now: UnixMillis, waited_ms: u32) -> Option<Answer> {
        let (poll, wait) = match self.cache.consult(now, RECENCY, waited_ms) {
            Consult::Check(_) | Consult::Stale(_) => (None, None),
            Consult::CheckAndPoll(_, poll) | Consult::PollFirst { wait_ms: 0, poll } => {
                (Some(poll), None)
            }
            Consult::PollFirst { wait_ms, poll } => {
                (Some(poll), Some(Answer::AwaitPoll { wait_ms }))
            }
            Consult::Wait { again_after_ms } => {
                (None, Some(Answer::WaitForPoll { again_after_ms }))
            }
        };
        if poll.is_some() {
            self.keys.prepare(now, 0).ok();
            self.wanted = poll;
        }
        wait
    }
}

/// The bound of the edge by default. While a verifier is in use it polls once a second, so that
/// this matters after a pause and when the issuer is away.
const RECENCY: Recency = Recency::Bounded { max_age_secs: 30 };

/// The next poll is a second away.
const UNAVAILABLE: Answer = Answer::Unavailable {
    retry_after_secs: 1,
};
