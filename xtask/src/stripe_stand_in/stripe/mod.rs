//! A stand-in for Stripe, as far as selling credits needs it and as Stripe documents it: Checkout
//! Sessions, idempotency keys, events with signatures, refunds, disputes, refusals on demand.
//!
//! Nothing of it is in the product. It holds no clock and sends nothing by itself: requests come
//! with the time, and whoever runs it delivers the events that are due. So the issuer's tests can
//! use the very same one.

mod api;
mod events;
mod form;
mod objects;
mod pages;
mod server;

pub use events::Delivery;
pub use server::serve;

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use events::Outbox;
use objects::{Payment, Session};

/// A request, read whole.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Request {
    /// A header; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer, or none: the connection breaks after the work was done.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Beside those of every answer.
    pub headers: Vec<(&'static str, String)>,
    /// JSON or HTML.
    pub body: String,
    /// Nobody gets it.
    pub lost: bool,
}

/// What goes wrong with the next request to the API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// 429 before anything was done.
    RateLimited,
    /// 503 before anything was done.
    Unavailable,
    /// 409: another request with the same idempotency key is under way.
    KeyInUse,
    /// 500 after work had begun: the same idempotency key gets it again.
    Failing,
    /// Done, and the answer is lost on the way.
    Lost,
}

impl Fault {
    /// By the name that the control page uses.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "rate_limited" => Some(Self::RateLimited),
            "unavailable" => Some(Self::Unavailable),
            "key_in_use" => Some(Self::KeyInUse),
            "failing" => Some(Self::Failing),
            "lost" => Some(Self::Lost),
            _ => None,
        }
    }
}

/// How this one is reached and recognized.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the API is called with.
    pub secret_key: String,
    /// What events are signed with.
    pub webhook_secret: String,
    /// Where its pages are, without a trailing slash.
    pub base_url: String,
    /// Part of every id, so that those of two runs differ.
    pub run: String,
    /// How many times faster than Stripe it tries again to deliver an event.
    pub speed: i64,
}

/// Everything it remembers.
#[derive(Debug)]
pub struct StandIn {
    options: Options,
    sessions: BTreeMap<String, Session>,
    payments: BTreeMap<String, Payment>,
    outbox: Outbox,
    answered: BTreeMap<String, Remembered>,
    faults: VecDeque<Fault>,
    last_id: u64,
    n_requests: usize,
}

/// What was answered to an idempotency key.
#[derive(Clone, Debug)]
struct Remembered {
    request: String,
    status: u16,
    body: String,
}

impl StandIn {
    /// One that has sold nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            outbox: Outbox::new(&options),
            options,
            sessions: BTreeMap::new(),
            payments: BTreeMap::new(),
            answered: BTreeMap::new(),
            faults: VecDeque::new(),
            last_id: 0,
            n_requests: 0,
        }
    }

    /// Answers a request that came at this second.
    pub fn answer(&mut self, request: &Request, now: i64) -> Answer {
        match request.path.strip_prefix("/v1/") {
            Some(path) => {
                let path: Vec<&str> = path.split('/').collect();
                self.answer_api(request, &path, now)
            }
            None => self.answer_page(request, now),
        }
    }

    /// What goes wrong from now on, one for each request to the API.
    pub fn fail_next(&mut self, faults: &[Fault]) {
        self.faults.extend(faults);
    }

    /// How many requests came to the API.
    pub fn n_requests(&self) -> usize {
        self.n_requests
    }

    /// Sessions that were opened, oldest first.
    pub fn session_ids(&self) -> Vec<String> {
        self.sessions.keys().cloned().collect()
    }

    /// The payment of a session that was paid.
    pub fn payment_of(&self, session_id: &str) -> Option<String> {
        self.sessions.get(session_id)?.payment_id.clone()
    }

    /// Events to deliver at this second. Each is out until [`Self::delivered`] says what came of it.
    pub fn due(&mut self, now: i64) -> Vec<Delivery> {
        self.outbox.due(now)
    }

    /// Notes the answer to a delivery; anything but 2xx is tried again, for three days.
    pub fn delivered(&mut self, event_id: &str, status: u16, now: i64) {
        self.outbox.delivered(event_id, status, now);
    }

    /// Delivers an event once more, whatever came of it before.
    pub fn resend(&mut self, event_id: &str, now: i64) {
        self.outbox.resend(event_id, now);
    }

    /// The events of all times, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.outbox.events()
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.last_id += 1;
        format!("{prefix}{}{:06}", self.options.run, self.last_id)
    }
}
