//! The decision about one request: forward it, answer it, or fetch something first.
//!
//! A pure function of configuration, state, request and time. The order of the steps is
//! the order of the checks, and nothing later is looked at once one has failed:
//! size, path, route, preflight, token, key, verification, revocation, role.

mod limits;

use std::rc::Rc;

use shared_claims::{
    AccessClaims, Consult, KeySet, Lookup, Poll, Recency, Revocations, Ticket, UnixMillis,
    UnverifiedToken, Verified, VerifyError,
};

use crate::answer::{self, Answer, Metric};
use crate::assertions::{self, About};
use crate::charging::{self, Order};
use crate::config::{Auth, Config, OnStale, RevocationMode, Route};
use crate::cors;
use crate::forward::{self, Forward};
use crate::headers::Headers;
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::routes::{self, Found};
use crate::state::State;
use crate::status;
use crate::tokens::{self, Presented};
use crate::trace::Trace;

/// What to do about a request, and what to start besides.
#[derive(Debug)]
pub struct Decision {
    /// What to do about the request.
    pub verdict: Verdict,
    /// Work to start in the background; whoever drops it delays the next attempt.
    pub background: Vec<Work>,
}

/// What to do about a request.
#[derive(Debug)]
pub enum Verdict {
    /// Send it to the backend.
    Forward(Box<Forward>),
    /// Charge for it as ordered, then send it to the backend.
    Charge(Box<(Order, Forward)>),
    /// Answer it without the backend.
    Answer(Box<Answer>),
    /// What was let through earlier would be let through now, too.
    Stands,
    /// Do this, then decide again.
    Wait(Wait),
}

/// What a decision needs before it can be made.
#[derive(Debug, Default)]
pub struct Wait {
    /// Work this request starts and waits for, each with the longest time to wait.
    pub work: Vec<(Work, u32)>,
    /// Somebody else is at it: look again after so many milliseconds.
    pub again_after_ms: Option<u32>,
}

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Load the token keys from the nearest place that has them.
    LoadKeys(Ticket),
    /// Fetch the token keys from the issuer itself.
    RefetchKeys(Ticket),
    /// Ask for the revocation feed.
    PollFeed(Poll),
}

/// Decides about a request, given in the form of [`Incoming::parse`]. `waited_ms` is how
/// long it has waited for earlier decisions.
pub fn decide(
    config: &Config,
    state: &mut State,
    request: &str,
    now: UnixMillis,
    waited_ms: u32,
) -> Decision {
    run(config, state, request, now, waited_ms, Purpose::Forward)
}

/// Decides about a request that was let through and goes on, as a WebSocket does: whether it would
/// be let through now, too. Nothing is counted, and nothing is charged.
pub fn recheck(
    config: &Config,
    state: &mut State,
    request: &str,
    now: UnixMillis,
    waited_ms: u32,
) -> Decision {
    run(config, state, request, now, waited_ms, Purpose::Recheck)
}

fn run(
    config: &Config,
    state: &mut State,
    request: &str,
    now: UnixMillis,
    waited_ms: u32,
    purpose: Purpose,
) -> Decision {
    let parsed = Incoming::parse(request);
    let none = Headers::default();
    let trace = state
        .ids
        .name(parsed.as_ref().map_or(&none, |request| &request.headers));
    let mut run = Run {
        config,
        state,
        now,
        waited_ms,
        purpose,
        trace,
        background: Vec::new(),
    };
    let verdict = match parsed {
        Ok(request) => run.decide(&request),
        Err(refusal) => run.refuse(None, None, &refusal),
    };
    Decision {
        verdict,
        background: run.background,
    }
}

/// Why a decision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Forward,
    Recheck,
}

struct Run<'c, 's> {
    config: &'c Config,
    state: &'s mut State,
    now: UnixMillis,
    waited_ms: u32,
    purpose: Purpose,
    trace: Trace,
    background: Vec<Work>,
}

/// Why a request is not admitted now.
enum Stop {
    Refuse(Refusal),
    Wait(Wait),
}

/// A request's identity: none on routes and requests without a token.
type Identity = Option<Rc<Verified<AccessClaims>>>;

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<VerifyError> for Stop {
    fn from(error: VerifyError) -> Self {
        Self::Refuse(Refusal::Token(error))
    }
}

impl Run<'_, '_> {
    fn decide(&mut self, request: &Incoming<'_>) -> Verdict {
        let (host, path) = (request.host(), request.path.as_ref());
        let origin = request.headers.get("origin");
        if path.starts_with(routes::RESERVED_PREFIX) {
            return match self.answer_itself(request) {
                Ok(answer) => Verdict::Answer(Box::new(answer)),
                Err(refusal) => self.refuse(None, origin, &refusal),
            };
        }
        let preflight = cors::preflight(self.config, &host, path, request.method, &request.headers);
        match preflight {
            Some(Ok(headers)) => return Verdict::Answer(Box::new(answer::preflight(headers))),
            Some(Err(refusal)) => return self.refuse(None, origin, &refusal),
            None => {}
        }
        match routes::find(self.config, &host, path, request.method) {
            Found::Route(route) => self.route(route, request),
            Found::OtherMethods(route) => {
                let allow = routes::allowed_methods(self.config, route);
                self.refuse(Some(route), origin, &Refusal::MethodNotAllowed { allow })
            }
            Found::Nothing => self.refuse(None, origin, &Refusal::RouteNotFound),
        }
    }

    fn route(&mut self, route: &Route, request: &Incoming<'_>) -> Verdict {
        let admitted = if self.state.setup.breaks(route) {
            Err(Refusal::Internal.into())
        } else if self.state.setup.cannot_charge(route) {
            Err(Refusal::ChargingNotSetUp.into())
        } else {
            self.admit(route, request)
        };
        match admitted {
            Ok(_) if self.purpose == Purpose::Recheck => Verdict::Stands,
            Ok(identity) => self.forward(route, request, identity.as_deref()),
            Err(Stop::Wait(wait)) => Verdict::Wait(wait),
            Err(Stop::Refuse(refusal)) => self.refuse_route(route, request, &refusal),
        }
    }

    fn answer_itself(&self, request: &Incoming<'_>) -> Result<Answer, Refusal> {
        if request.path == assertions::KEYS_PATH {
            self.state.setup.signer.answer(request)
        } else {
            status::answer(self.config, self.state, request, self.now)
        }
    }

    fn forward(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        identity: Option<&Verified<AccessClaims>>,
    ) -> Verdict {
        let mut forward = forward::build(self.config, route, request, identity);
        if let Err(refusal) = self.count_user(route, request, identity, &mut forward) {
            return self.refuse(Some(route), request.headers.get("origin"), &refusal);
        }
        forward.name(&self.trace);
        if route.backend.assertion {
            match self.assertion(route, request, identity, &forward.url) {
                Some(jws) => forward.set.push(("x-edge-assertion", jws)),
                // A route that cannot be signed for was refused before; never without one.
                None => return self.refuse(Some(route), None, &Refusal::Internal),
            }
        }
        forward.metric = Metric {
            route: route.id.clone(),
            code: "forwarded",
            keys: self.state.keys_word(self.now),
        };
        match charging::order(self.config, route, request) {
            Some(order) => Verdict::Charge(Box::new((order, forward))),
            None => Verdict::Forward(Box::new(forward)),
        }
    }

    fn assertion(
        &self,
        route: &Route,
        request: &Incoming<'_>,
        identity: Option<&Verified<AccessClaims>>,
        url: &str,
    ) -> Option<String> {
        let about = About {
            iss: &self.config.edge.iss,
            backend: route.backend.name.as_deref()?,
            request_id: &self.trace.request_id,
            method: request.method?,
            url,
        };
        let now = self.now.to_secs();
        self.state.setup.signer.sign(about, identity, now)
    }

    fn refuse_route(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        refusal: &Refusal,
    ) -> Verdict {
        let counted_as = self.note_failure(route, request, refusal);
        let verdict = self.refuse(Some(route), request.headers.get("origin"), refusal);
        match verdict {
            Verdict::Answer(answer) => Verdict::Answer(Box::new(Answer {
                counted_as,
                ..*answer
            })),
            other => other,
        }
    }

    fn refuse(&self, route: Option<&Route>, origin: Option<&str>, refusal: &Refusal) -> Verdict {
        let answer = answer::refusal(
            self.config,
            self.state,
            self.now,
            route,
            origin,
            refusal,
            &self.trace.request_id,
        );
        Verdict::Answer(Box::new(answer))
    }

    fn admit(&mut self, route: &Route, request: &Incoming<'_>) -> Result<Identity, Stop> {
        if request
            .content_length()
            .is_some_and(|length| length > route.max_body_bytes)
        {
            return Err(Refusal::BodyTooLarge.into());
        }
        if route.auth == Auth::None {
            return Ok(None);
        }
        match tokens::find(&request.headers, &route.token) {
            Presented::Several => Err(Refusal::MultipleTokens.into()),
            Presented::Nothing if route.auth == Auth::Optional => Ok(None),
            Presented::Nothing => Err(Refusal::MissingToken.into()),
            Presented::Token { text, from_cookie } => {
                check_origin(route, request, from_cookie)?;
                self.identify(route, request, text).map(Some)
            }
        }
    }

    fn identify(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        text: &str,
    ) -> Result<Rc<Verified<AccessClaims>>, Stop> {
        let token = self.verify(route, request, text)?;
        self.check_revoked(route, &token)?;
        let role = token.role.as_deref().unwrap_or("");
        if !route.roles.is_empty() && !route.roles.iter().any(|allowed| allowed == role) {
            return Err(Refusal::InsufficientScope.into());
        }
        Ok(token)
    }

    fn verify(
        &mut self,
        route: &Route,
        request: &Incoming<'_>,
        text: &str,
    ) -> Result<Rc<Verified<AccessClaims>>, Stop> {
        let secs = self.now.to_secs();
        if let Some(known) = self.state.tokens.get(text) {
            self.keys_for(route, known.kid(), |_| ())?;
            self.state
                .verifier
                .recheck(Some(&route.audience), &known, secs)?;
            return Ok(known);
        }
        self.check_failures(route, request)?;
        let parsed = UnverifiedToken::parse(text)?;
        let kid = *parsed.kid();
        let verifier = self.state.verifier.clone();
        let verify =
            |keys: &KeySet| verifier.verify_parsed(Some(&route.audience), parsed, keys, secs);
        let verdict = self.keys_for(route, &kid, verify);
        self.state.heed_alarms();
        let token = Rc::new(verdict??);
        self.state.tokens.insert(text, Rc::clone(&token));
        Ok(token)
    }

    /// Uses the key set that has this key, or says what to do to get it.
    fn keys_for<T>(
        &mut self,
        route: &Route,
        kid: &shared_claims::Kid,
        verify: impl FnOnce(&KeySet) -> T,
    ) -> Result<T, Stop> {
        let mut wait = Wait::default();
        match self.state.keys.lookup(self.now, kid, self.waited_ms) {
            Lookup::Use(keys) => return Ok(verify(keys)),
            Lookup::UseAndRefresh(keys, ticket) => {
                self.background.push(Work::LoadKeys(ticket));
                return Ok(verify(keys));
            }
            Lookup::UnknownKey => return Err(VerifyError::UnknownKey.into()),
            Lookup::Unavailable { retry_after_secs } => {
                return Err(Refusal::KeysUnavailable { retry_after_secs }.into());
            }
            Lookup::Load(ticket) => wait.work.push((Work::LoadKeys(ticket), MAX_KEYS_WAIT_MS)),
            Lookup::ForcedRefetch(ticket) => {
                wait.work
                    .push((Work::RefetchKeys(ticket), MAX_KEYS_WAIT_MS));
            }
            Lookup::Wait { again_after_ms } => wait.again_after_ms = Some(again_after_ms),
        }
        self.add_feed_work(route, &mut wait);
        Err(Stop::Wait(wait))
    }

    /// While this request waits for keys, the feed it will need is asked for beside them.
    fn add_feed_work(&mut self, route: &Route, wait: &mut Wait) {
        match self
            .state
            .feed
            .consult(self.now, recency(route), self.waited_ms)
        {
            Consult::PollFirst { wait_ms, poll } => wait.work.push((Work::PollFeed(poll), wait_ms)),
            Consult::CheckAndPoll(_, poll) => self.background.push(Work::PollFeed(poll)),
            Consult::Check(_) | Consult::Wait { .. } | Consult::Stale(_) => {}
        }
    }

    fn check_revoked(&mut self, route: &Route, token: &Verified<AccessClaims>) -> Result<(), Stop> {
        let check = |held: &Revocations| held.check(token);
        match self
            .state
            .feed
            .consult(self.now, recency(route), self.waited_ms)
        {
            Consult::Check(held) => check(held)?,
            Consult::CheckAndPoll(held, poll) => {
                self.background.push(Work::PollFeed(poll));
                check(held)?;
            }
            Consult::PollFirst { wait_ms, poll } => {
                let work = vec![(Work::PollFeed(poll), wait_ms)];
                return Err(Stop::Wait(Wait {
                    work,
                    again_after_ms: None,
                }));
            }
            Consult::Wait { again_after_ms } => {
                let again_after_ms = Some(again_after_ms);
                return Err(Stop::Wait(Wait {
                    work: Vec::new(),
                    again_after_ms,
                }));
            }
            Consult::Stale(held) => {
                held.map_or(Ok(()), check)?;
                if route.revocation.on_stale == OnStale::Closed {
                    return Err(Refusal::FeedStale.into());
                }
            }
        }
        Ok(())
    }
}

fn recency(route: &Route) -> Recency {
    match route.revocation.mode {
        RevocationMode::Bounded => Recency::Bounded {
            max_age_secs: route.revocation.max_age_secs,
        },
        RevocationMode::Strict => Recency::Strict,
    }
}

/// A browser sends a cookie whoever asks for it. Whatever changes something, and every
/// upgrade, must therefore come from a page of a listed origin.
fn check_origin(route: &Route, request: &Incoming<'_>, from_cookie: bool) -> Result<(), Refusal> {
    let safe = request.method.is_some_and(crate::config::Method::is_safe)
        && request.headers.get("upgrade").is_none();
    if !from_cookie || safe || cors::is_listed(route.cors.as_ref(), request.headers.get("origin")) {
        return Ok(());
    }
    Err(Refusal::Forbidden(
        "With a cookie, this needs an Origin that is listed for the route.",
    ))
}

/// Longer than any load of keys takes; the cache machine ends the wait before.
const MAX_KEYS_WAIT_MS: u32 = 6_000;
