//! When to ask for the revocation feed, and when what is held is too old: a machine without
//! clock, network or randomness, like [`KeyCache`](crate::KeyCache).
//!
//! While requests flow, the issuer is asked once a second, mostly in the background. Most
//! answers are deltas; the full document is fetched once a minute and whenever a delta does
//! not continue what is held.
//!
//! 1. A poll is counted when it starts; no second one starts within a second, whatever
//!    becomes of the first.
//! 2. What is held changes only to a document that is signed and not older.
//! 3. How old it is is told by the document, never by when it arrived.

use alloc::string::String;
use alloc::vec::Vec;

use crate::backoff::Backoff;
use crate::error::RevocationError;
use crate::key_cache::Ticket;
use crate::key_set::KeySet;
use crate::limits::{DEFAULT_LEEWAY_SECS, FEED_LIFE_SECS};
use crate::revocations::Revocations;
use crate::time::UnixMillis;

/// The revocation feed of one issuer, in one process or isolate. Plain data.
#[derive(Clone, Debug)]
pub struct FeedCache {
    issuer: String,
    held: Option<Revocations>,
    last_ticket: u32,
    /// The latest polls nobody has reported on, oldest first.
    open: Vec<OpenPoll>,
    polled_at: Option<UnixMillis>,
    /// When the poll began that last proved what is held to be current.
    current_at: Option<UnixMillis>,
    /// When the poll began that last brought, or proved current, a full document.
    full_at: Option<UnixMillis>,
    /// What the last answer was asked with, and its `ETag`.
    etag: Option<(Option<u64>, String)>,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug)]
struct OpenPoll {
    ticket: Ticket,
    began: UnixMillis,
    since: Option<u64>,
}

/// How recent the revocations must be for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recency {
    /// The instant they describe is at most this many seconds ago.
    Bounded {
        /// Seconds.
        max_age_secs: u64,
    },
    /// The issuer was asked within the last second.
    Strict,
}

/// What to do about a request.
#[derive(Debug)]
pub enum Consult<'a> {
    /// Check against these.
    Check(&'a Revocations),
    /// Check against these now, and ask the issuer in the background.
    CheckAndPoll(&'a Revocations, Poll),
    /// Ask the issuer first, waiting at most `wait_ms` for it, then consult again; the poll
    /// itself goes on in the background.
    PollFirst {
        /// The longest this request should wait.
        wait_ms: u32,
        /// What to ask.
        poll: Poll,
    },
    /// Somebody else is asking: consult again after so long.
    Wait {
        /// Milliseconds until the next look.
        again_after_ms: u32,
    },
    /// What is held, if anything, is older than demanded. Check against it all the same; the
    /// caller decides whether a token that passes is accepted.
    Stale(Option<&'a Revocations>),
}

/// What to ask the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// To be handed to [`FeedCache::report`].
    pub ticket: Ticket,
    /// For `?since=`; `None` asks for the full document.
    pub since: Option<u64>,
    /// For `If-None-Match`.
    pub etag: Option<String>,
}

/// What came of a poll.
#[derive(Clone, Copy, Debug)]
pub enum FeedReport<'a> {
    /// The issuer answered 200.
    Answered {
        /// The document, without white space around it.
        jws: &'a str,
        /// The keys of the feed.
        keys: &'a KeySet,
        /// The header `ETag`.
        etag: Option<&'a str>,
        /// A random byte.
        jitter: u8,
    },
    /// The issuer answered 304.
    NotModified,
    /// The issuer did not answer, or otherwise; or its feed keys could not be had.
    Failed {
        /// A random byte.
        jitter: u8,
    },
}

impl FeedCache {
    /// An empty cache for the feed of this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            held: None,
            last_ticket: 0,
            open: Vec::new(),
            polled_at: None,
            current_at: None,
            full_at: None,
            etag: None,
            backoff: Backoff::new(MAX_PAUSE_MS),
        }
    }

    /// What to do about a request. `waited_ms` is how long it has waited for the feed so far.
    pub fn consult(&mut self, now: UnixMillis, recency: Recency, waited_ms: u32) -> Consult<'_> {
        let recent = self.is_recent(now, recency);
        let left_ms = self.longest_wait_ms().saturating_sub(waited_ms);
        if !recent && left_ms > 0 && self.is_polling(now) {
            return Consult::Wait {
                again_after_ms: WAIT_STEP_MS.min(left_ms),
            };
        }
        let poll = self.is_due(now).then(|| self.lead(now));
        match (&self.held, poll) {
            (Some(held), None) if recent => Consult::Check(held),
            (Some(held), Some(poll)) if recent => Consult::CheckAndPoll(held, poll),
            (_, Some(poll)) => Consult::PollFirst {
                wait_ms: left_ms,
                poll,
            },
            (held, None) => Consult::Stale(held.as_ref()),
        }
    }

    /// The revocations held, if [`consult`](Self::consult) would say nothing but to check against
    /// them.
    pub fn current(&self, now: UnixMillis, recency: Recency) -> Option<&Revocations> {
        let is_current = self.is_recent(now, recency) && !self.is_due(now);
        self.held.as_ref().filter(|_| is_current)
    }

    /// Takes in what came of a poll, however late.
    ///
    /// # Errors
    /// Why the document was refused; what was held stays.
    pub fn report(
        &mut self,
        now: UnixMillis,
        ticket: Ticket,
        report: FeedReport<'_>,
    ) -> Result<(), RevocationError> {
        let open = self.open.iter().position(|poll| poll.ticket == ticket);
        let poll = open.map(|at| self.open.remove(at));
        match report {
            FeedReport::Answered {
                jws,
                keys,
                etag,
                jitter,
            } => {
                let result = self.apply(now, jws, keys);
                self.settle(now, poll, result, jitter);
                if result.is_ok() {
                    let asked = poll.map(|poll| poll.since);
                    self.etag = asked.zip(etag.and_then(bounded_etag));
                }
                return result;
            }
            FeedReport::NotModified => self.settle(now, poll, Ok(()), 0),
            FeedReport::Failed { jitter } => self.failed(now, poll, jitter),
        }
        Ok(())
    }

    /// The revocations held, however old.
    pub fn held(&self) -> Option<&Revocations> {
        self.held.as_ref()
    }

    fn is_recent(&self, now: UnixMillis, recency: Recency) -> bool {
        let Some(held) = &self.held else { return false };
        let secs = now.to_secs();
        if held.as_of() > secs.plus_secs(DEFAULT_LEEWAY_SECS) {
            return false; // The clock was set back: ages mean nothing.
        }
        match recency {
            Recency::Bounded { max_age_secs } => held.age_secs(secs) <= max_age_secs,
            Recency::Strict => {
                let asked = |at| now.millis_since(at) < POLL_EVERY_MS;
                self.current_at.is_some_and(asked) && held.age_secs(secs) <= FEED_LIFE_SECS
            }
        }
    }

    fn longest_wait_ms(&self) -> u32 {
        if self.held.is_some() {
            STALE_WAIT_MS
        } else {
            COLD_WAIT_MS
        }
    }

    /// Whether a poll is under way that has not taken too long.
    fn is_polling(&self, now: UnixMillis) -> bool {
        self.open
            .last()
            .is_some_and(|poll| now.millis_since(poll.began) < POLL_LATE_MS)
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        !self.is_polling(now)
            && self.backoff.wait_ms(now) == 0
            && self
                .polled_at
                .is_none_or(|at| now.millis_since(at) >= POLL_EVERY_MS)
    }

    fn lead(&mut self, now: UnixMillis) -> Poll {
        let full_due = self
            .full_at
            .is_none_or(|at| now.millis_since(at) >= FULL_EVERY_MS);
        let since = self
            .held
            .as_ref()
            .filter(|_| !full_due)
            .map(Revocations::seq);
        let etag = self.etag.as_ref().filter(|(asked, _)| *asked == since);
        let etag = etag.map(|(_, etag)| etag.clone());
        let ticket = Ticket::after(&mut self.last_ticket);
        if self.open.len() == MAX_OPEN_POLLS {
            self.open.remove(0);
        }
        self.open.push(OpenPoll {
            ticket,
            began: now,
            since,
        });
        self.polled_at = Some(now);
        Poll {
            ticket,
            since,
            etag,
        }
    }

    fn apply(&mut self, now: UnixMillis, jws: &str, keys: &KeySet) -> Result<(), RevocationError> {
        let now = now.to_secs();
        let next = match &self.held {
            Some(held) => held.updated(jws, keys, &self.issuer, now)?,
            None => Revocations::from_jws(jws, keys, &self.issuer, now)?,
        };
        self.held = Some(next);
        Ok(())
    }

    /// Draws the consequences for the next poll.
    fn settle(
        &mut self,
        now: UnixMillis,
        poll: Option<OpenPoll>,
        result: Result<(), RevocationError>,
        jitter: u8,
    ) {
        match result {
            Ok(()) => self.proved_current(poll),
            // Behind a load balancer one issuer is a moment behind the other: no failure.
            Err(RevocationError::Older) => {}
            // An answer was lost, or the issuer has begun anew and the delta makes what is
            // held too large: the full document does not bear waiting for.
            Err(RevocationError::WrongBase | RevocationError::TooLarge)
                if poll.is_some_and(|poll| self.is_latest_delta(poll)) =>
            {
                (self.full_at, self.polled_at) = (None, None);
            }
            Err(_) => {
                self.full_at = None;
                self.failed(now, poll, jitter);
            }
        }
    }

    fn is_latest_delta(&self, poll: OpenPoll) -> bool {
        poll.since.is_some() && self.polled_at == Some(poll.began)
    }

    /// What is held is at least what the issuer had when the poll began.
    fn proved_current(&mut self, poll: Option<OpenPoll>) {
        let Some(poll) = poll else { return };
        self.backoff.succeeded();
        self.current_at = Some(poll.began);
        if poll.since.is_none() {
            self.full_at = Some(poll.began);
        }
    }

    /// A failure counts unless a later poll has succeeded.
    fn failed(&mut self, now: UnixMillis, poll: Option<OpenPoll>, jitter: u8) {
        if poll.is_some_and(|poll| self.current_at.is_none_or(|at| at < poll.began)) {
            self.backoff.failed(now, jitter);
        }
    }
}

/// An entity tag worth repeating: visible ASCII of a length issuers use.
fn bounded_etag(etag: &str) -> Option<String> {
    let fits = etag.len() <= MAX_ETAG_BYTES && etag.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| String::from(etag))
}

/// With the issuer's publisher, which runs every 250 ms, this refuses a revoked token within
/// two seconds.
const POLL_EVERY_MS: u64 = 1_000;

/// A poll that takes longer does not keep the next one from starting.
const POLL_LATE_MS: u64 = 1_000;

/// More than start within the time limit of a fetch; what is reported of an older one may be
/// used, but proves nothing.
const MAX_OPEN_POLLS: usize = 5;

/// The longest pause after failures: a feed that is back must not stay unread for long.
const MAX_PAUSE_MS: u64 = 4_000;

/// Deltas never remove what has lapsed; this bounds how long it is carried along.
const FULL_EVERY_MS: u64 = 60_000;

/// How long the first requests of a process wait for the first document.
const COLD_WAIT_MS: u32 = 500;

/// How long a request waits when what is held is too old.
const STALE_WAIT_MS: u32 = 250;

/// Short beside a fetch, long beside a turn of the event loop.
const WAIT_STEP_MS: u32 = 25;

/// Room for a SHA-512 in hexadecimal with quotes and the mark of a weak tag.
const MAX_ETAG_BYTES: usize = 132;
