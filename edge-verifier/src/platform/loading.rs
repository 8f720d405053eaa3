//! Does the [`Work`] that decisions ask for: fetches keys and feed and reports to the
//! state what came of it. Borrows of the state never last across an await.

use std::rc::Rc;

use futures_util::future::join;
use shared_claims::limits::{MAX_FEED_BYTES, MAX_KEY_SET_BYTES};
use shared_claims::{
    FeedReport, KeyCache, KeySet, Kid, Lookup, Outcome, Poll, Report, RevocationDocument, Ticket,
};
use worker::Context;

use crate::copies;
use crate::decide::Work;
use crate::state::State;

use super::fetch::Fetched;
use super::gateway::Isolate;
use super::{cache, clock, fetch, log};

/// One of the issuer's two key sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeysOf {
    Tokens,
    Feed,
}

impl KeysOf {
    const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "jwks",
            Self::Feed => "feed-jwks",
        }
    }

    fn cache(self, state: &mut State) -> &mut KeyCache {
        match self {
            Self::Tokens => &mut state.keys,
            Self::Feed => &mut state.feed_keys,
        }
    }
}

impl Isolate {
    /// Does one piece of work. It ends when there is something to decide anew; what may
    /// still be going on then is kept alive by `ctx`.
    pub(crate) async fn perform(self: Rc<Self>, ctx: Rc<Context>, work: Work) {
        match work {
            Work::LoadKeys(ticket) => self.load_keys(&ctx, KeysOf::Tokens, ticket).await,
            Work::RefetchKeys(ticket) => self.refetch_keys(ticket).await,
            Work::PollFeed(poll) => self.poll_feed(&ctx, poll).await,
        }
    }

    /// The load chain after isolate memory: the data centre's copy, then the issuer. A copy
    /// that is good but due for renewal is used while the issuer is asked.
    async fn load_keys(self: &Rc<Self>, ctx: &Context, of: KeysOf, ticket: Ticket) {
        if self.use_copy(of, ticket).await {
            return;
        }
        let usable = of
            .cache(&mut self.state.borrow_mut())
            .usable(clock::now())
            .is_some();
        let fetch = Rc::clone(self).fetch_keys(of, ticket);
        if usable {
            ctx.wait_until(fetch);
        } else {
            fetch.await;
        }
    }

    /// For an unknown key id. A marker in the data centre's cache says that a neighbour has
    /// just asked the issuer; its copy is then as good as asking again.
    async fn refetch_keys(self: &Rc<Self>, ticket: Ticket) {
        let of = KeysOf::Tokens;
        let marker = self.cache_key("refetched");
        if cache::get(&marker).await.is_none() {
            cache::put(&marker, "1".into(), REFETCH_MARKER_SECS).await;
            Rc::clone(self).fetch_keys(of, ticket).await;
        } else if !self.use_copy(of, ticket).await {
            self.report_keys(of, ticket, Report::Skipped);
        }
    }

    /// Whether the data centre's copy settles the matter.
    async fn use_copy(&self, of: KeysOf, ticket: Ticket) -> bool {
        let Some(copy) = cache::get(&self.cache_key(of.name())).await else {
            return false;
        };
        let Some((fetched_at, document)) = copies::read(self.cache_secret(), of.name(), &copy)
        else {
            return false;
        };
        let report = Report::Copy {
            document: document.as_bytes(),
            fetched_at,
        };
        self.report_keys(of, ticket, report) == Outcome::Done
    }

    async fn fetch_keys(self: Rc<Self>, of: KeysOf, ticket: Ticket) {
        let fetched_at = clock::now();
        let url = self.issuer_url(&format!("{}.json", of.name()));
        let timeout_ms = self.config.issuer.jwks.timeout_ms;
        let jitter = clock::jitter();
        match fetch::get(&url, None, timeout_ms, MAX_KEY_SET_BYTES).await {
            Ok(Fetched {
                status: 200, body, ..
            }) => {
                let report = Report::Fetched {
                    document: &body,
                    fetched_at,
                    jitter,
                };
                match self.report_keys(of, ticket, report) {
                    Outcome::Rejected(error) => {
                        log::event("issuer", of.name(), &format!("refused: {error}"));
                    }
                    _ => self.store_copy(of).await,
                }
            }
            outcome => {
                let fault = outcome.map_or_else(fetch::FetchFault::as_str, |_| "unexpected_status");
                log::event("issuer", of.name(), fault);
                self.report_keys(of, ticket, Report::Failed { jitter });
            }
        }
    }

    async fn store_copy(&self, of: KeysOf) {
        let exported = of.cache(&mut self.state.borrow_mut()).export();
        if let Some((document, fetched_at)) = exported {
            let copy = copies::write(self.cache_secret(), of.name(), fetched_at, &document);
            cache::put(
                &self.cache_key(of.name()),
                copy,
                self.config.issuer.jwks.hard_secs,
            )
            .await;
        }
    }

    fn report_keys(&self, of: KeysOf, ticket: Ticket, report: Report<'_>) -> Outcome {
        of.cache(&mut self.state.borrow_mut())
            .report(clock::now(), ticket, report)
    }

    async fn poll_feed(self: &Rc<Self>, ctx: &Context, poll: Poll) {
        let mut url = self.issuer_url("revocations");
        if let Some(since) = poll.since {
            url = format!("{url}?since={since}");
        }
        let timeout_ms = self.config.issuer.jwks.timeout_ms;
        let feed = fetch::get(&url, poll.etag.as_deref(), timeout_ms, MAX_FEED_BYTES);
        let (answer, ()) = join(feed, self.load_feed_keys_ahead(ctx)).await;
        match answer {
            Ok(Fetched { status: 304, .. }) => self.report_feed(&poll, FeedReport::NotModified),
            Ok(Fetched { etag, body, .. }) => {
                self.read_feed(ctx, &poll, etag.as_deref(), &body).await;
            }
            Err(fault) => self.feed_failed(&poll, fault.as_str()),
        }
    }

    /// A cold isolate will need the feed's keys as soon as it has the feed, and fetches both at
    /// once: its first request waits for one answer instead of two.
    async fn load_feed_keys_ahead(self: &Rc<Self>, ctx: &Context) {
        let ticket = self.state.borrow_mut().feed_keys.load_ahead(clock::now());
        if let Some(ticket) = ticket {
            self.load_keys(ctx, KeysOf::Feed, ticket).await;
        }
    }

    async fn read_feed(
        self: &Rc<Self>,
        ctx: &Context,
        poll: &Poll,
        etag: Option<&str>,
        body: &[u8],
    ) {
        let jws = core::str::from_utf8(body).unwrap_or("").trim();
        let kid = match RevocationDocument::unverified_kid(jws) {
            Ok(kid) => kid,
            Err(error) => return self.feed_failed(poll, &format!("refused: {error}")),
        };
        match self.feed_keys_with(ctx, &kid).await {
            Some(keys) => {
                let jitter = clock::jitter();
                self.report_feed(
                    poll,
                    FeedReport::Answered {
                        jws,
                        keys: &keys,
                        etag,
                        jitter,
                    },
                );
            }
            None => self.feed_failed(poll, "refused: its key is not among the feed keys"),
        }
    }

    /// The feed keys that contain this one, loaded at most once on the way.
    async fn feed_keys_with(self: &Rc<Self>, ctx: &Context, kid: &Kid) -> Option<KeySet> {
        for _ in 0..2 {
            let lookup = self.look_up_feed_key(kid);
            match lookup {
                FeedKeys::Here(keys, ticket) => {
                    if let Some(ticket) = ticket {
                        let isolate = Rc::clone(self);
                        ctx.wait_until(isolate.fetch_keys(KeysOf::Feed, ticket));
                    }
                    return Some(keys);
                }
                FeedKeys::Load(ticket) => self.load_keys(ctx, KeysOf::Feed, ticket).await,
                FeedKeys::Refetch(ticket) => {
                    Rc::clone(self).fetch_keys(KeysOf::Feed, ticket).await;
                }
                FeedKeys::Nowhere => return None,
            }
        }
        None
    }

    fn look_up_feed_key(&self, kid: &Kid) -> FeedKeys {
        match self
            .state
            .borrow_mut()
            .feed_keys
            .lookup(clock::now(), kid, 0)
        {
            Lookup::Use(keys) => FeedKeys::Here(keys.clone(), None),
            Lookup::UseAndRefresh(keys, ticket) => FeedKeys::Here(keys.clone(), Some(ticket)),
            Lookup::Load(ticket) => FeedKeys::Load(ticket),
            Lookup::ForcedRefetch(ticket) => FeedKeys::Refetch(ticket),
            Lookup::Wait { .. } | Lookup::UnknownKey | Lookup::Unavailable { .. } => {
                FeedKeys::Nowhere
            }
        }
    }

    fn report_feed(&self, poll: &Poll, report: FeedReport<'_>) {
        let reported = self
            .state
            .borrow_mut()
            .feed
            .report(clock::now(), poll.ticket, report);
        if let Err(error) = reported {
            log::event("issuer", "revocations", &format!("refused: {error}"));
        }
    }

    fn feed_failed(&self, poll: &Poll, outcome: &str) {
        log::event("issuer", "revocations", outcome);
        self.report_feed(
            poll,
            FeedReport::Failed {
                jitter: clock::jitter(),
            },
        );
    }

    fn issuer_url(&self, name: &str) -> String {
        format!("{}/.well-known/{name}", self.config.issuer.url)
    }

    /// Keys of the data centre's cache are URLs; these are of the issuer's host, and nobody
    /// ever fetches them.
    fn cache_key(&self, name: &str) -> String {
        self.issuer_url(&format!("edge-copies/{name}"))
    }

    fn cache_secret(&self) -> Option<&str> {
        self.bindings
            .cache_secret
            .as_ref()
            .map(crate::bindings::Secret::expose)
    }
}

/// The outcome of looking for a feed key, without a borrow of the state.
enum FeedKeys {
    Here(KeySet, Option<Ticket>),
    Load(Ticket),
    Refetch(Ticket),
    Nowhere,
}

/// A hundred isolates of a data centre then make one fetch in this time.
const REFETCH_MARKER_SECS: u64 = 10;
