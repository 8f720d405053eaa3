//! What the entry calls: the synchronous decision, and the full way for requests that
//! need something fetched first.

use std::cell::RefCell;
use std::mem;
use std::pin::pin;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{join_all, select};
use serde::Serialize;
use shared_claims::UnixMillis;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::js_sys::Promise;
use worker::wasm_bindgen_futures::future_to_promise;
use worker::{Context, Env, worker_sys};

use crate::answer::{self, Answer};
use crate::bindings::Bindings;
use crate::charging::Order;
use crate::config::Config;
use crate::decide::{Decision, Verdict, Wait, Work, decide, recheck};
use crate::forward::Forward;
use crate::headers::Headers;
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::state::State;

use super::{clock, log};

/// The gateway of one isolate, as JavaScript holds it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Gateway(Rc<Isolate>);

/// Configuration and state of one isolate.
#[derive(Debug)]
pub(crate) struct Isolate {
    pub(crate) config: Config,
    pub(crate) bindings: Bindings,
    pub(crate) state: RefCell<State>,
    /// Work of the last decision, which its own request takes up in the same turn.
    handed_over: RefCell<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    wait: Wait,
    background: Vec<Work>,
    /// What is decided already, and was counted.
    charge: Option<Box<(Order, Forward)>>,
}

/// A decision as JSON: `forward` or `answer`, or neither when the full way must be gone.
#[derive(Serialize)]
struct Reply<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<&'a Forward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Answer>,
    background: bool,
}

/// What makes a decision: [`decide`] or [`recheck`].
type Decider = fn(&Config, &mut State, &str, UnixMillis, u32) -> Decision;

#[wasm_bindgen]
impl Gateway {
    /// Reads the bundled configuration and the Worker's bindings.
    ///
    /// # Errors
    /// When the configuration is not one of this version.
    #[wasm_bindgen(constructor)]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "JavaScript hands over the environment"
    )]
    pub fn new(config: &str, env: Env) -> Result<Self, worker::wasm_bindgen::JsError> {
        std::panic::set_hook(Box::new(report_panic));
        let mut config = Config::from_bundle(config)?;
        let (bindings, mut setup) = Bindings::read(&env, &mut config);
        setup.id_seed = clock::seed()?;
        for problem in setup.problems() {
            log::event("setup", "bindings", &problem);
        }
        let state = RefCell::new(State::new(&config, setup));
        let handed_over = RefCell::default();
        Ok(Self(Rc::new(Isolate {
            config,
            bindings,
            state,
            handed_over,
        })))
    }

    /// Decides at once, from memory. The argument is method, URL, and each header's name and
    /// value, every one followed by a line feed.
    pub fn decide(&self, request: &str) -> String {
        let decision = self.0.decide(decide, request, 0);
        self.0.hand_over(decision)
    }

    /// Goes the full way for the request of the last decision: fetches what is missing and
    /// decides again. Resolves to a decision that forwards or answers.
    pub fn resume(&self, request: String, ctx: worker_sys::Context) -> Promise {
        let isolate = Rc::clone(&self.0);
        let pending = isolate.handed_over.take();
        let ctx = Rc::new(Context::new(ctx));
        future_to_promise(async move {
            let reply = isolate.finish(decide, request, ctx, pending).await;
            Ok(JsValue::from(reply))
        })
    }

    /// Whether a request that was let through and goes on would be let through now, too. Resolves
    /// to a decision that answers, or to one that does nothing.
    pub fn recheck(&self, request: String, ctx: worker_sys::Context) -> Promise {
        let isolate = Rc::clone(&self.0);
        let ctx = Rc::new(Context::new(ctx));
        future_to_promise(async move {
            let nothing = Pending::default();
            let reply = isolate.finish(recheck, request, ctx, nothing).await;
            Ok(JsValue::from(reply))
        })
    }

    /// Starts the background work of the last decision.
    pub fn start(&self, ctx: worker_sys::Context) {
        // The rest is for the full way.
        let background = mem::take(&mut self.0.handed_over.borrow_mut().background);
        self.0.start(&Rc::new(Context::new(ctx)), background);
    }

    /// The answer when forwarding failed, or when the backend must not get the rest of a
    /// body, or when a counter of the data centre has had enough: `unreachable`, `timeout`,
    /// `too_large` or `limited`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an optional string comes owned"
    )]
    pub fn failed(
        &self,
        route: usize,
        what: &str,
        origin: Option<String>,
        request_id: &str,
    ) -> String {
        let refusal = match what {
            "timeout" => Refusal::UpstreamTimeout,
            "too_large" => Refusal::BodyTooLarge,
            "limited" => Refusal::RateLimited {
                retry_after_secs: COUNTER_PERIOD_SECS,
            },
            _ => Refusal::UpstreamUnreachable,
        };
        let (origin, is_charged) = (origin.as_deref(), what != "limited");
        let mut answer = self.0.refused(Some(route), origin, &refusal, request_id);
        if is_charged {
            answer.headers.extend(self.0.receipt_of_failure(route));
        }
        reply(&Verdict::Answer(Box::new(answer)), false)
    }

    /// Settles a hold, given as JSON, by the status of the backend's answer, 0 for none. Resolves
    /// to what to change in that answer, or to the answer to give in its place.
    pub fn settle(
        &self,
        hold: &str,
        status: u16,
        origin: Option<String>,
        request_id: String,
        ctx: worker_sys::Context,
    ) -> Promise {
        let isolate = Rc::clone(&self.0);
        let ctx = Rc::new(Context::new(ctx));
        let hold = serde_json::from_str(hold).map_err(|_| JsValue::from("no hold"));
        future_to_promise(async move {
            let settled = isolate.settle(ctx, hold?, status, origin, request_id).await;
            Ok(JsValue::from(settled))
        })
    }
}

impl Isolate {
    fn decide(&self, decider: Decider, request: &str, waited_ms: u32) -> Decision {
        decider(
            &self.config,
            &mut self.state.borrow_mut(),
            request,
            clock::now(),
            waited_ms,
        )
    }

    /// The reply to a decision; what is to be fetched waits for the entry's next call.
    fn hand_over(&self, decision: Decision) -> String {
        let Decision {
            verdict,
            background,
        } = decision;
        let reply = reply(&verdict, !background.is_empty());
        let (wait, charge) = match verdict {
            Verdict::Wait(wait) => (wait, None),
            Verdict::Charge(charge) => (Wait::default(), Some(charge)),
            Verdict::Forward(_) | Verdict::Answer(_) | Verdict::Stands => (Wait::default(), None),
        };
        self.handed_over.replace(Pending {
            wait,
            background,
            charge,
        });
        reply
    }

    async fn finish(
        self: Rc<Self>,
        decider: Decider,
        request: String,
        ctx: Rc<Context>,
        first: Pending,
    ) -> String {
        let started = clock::now();
        let mut pending = first;
        for _ in 0..MAX_ROUNDS {
            self.start(&ctx, pending.background);
            if let Some(charge) = pending.charge {
                // Boxed, so that only who charges compiles it.
                let charging = self.charge(*charge, origin_of(&request)).boxed_local();
                return reply(&charging.await, false);
            }
            self.serve(&ctx, pending.wait).await;
            let waited_ms = clock::now().millis_since(started);
            let waited_ms = u32::try_from(waited_ms).unwrap_or(u32::MAX);
            let decision = self.decide(decider, &request, waited_ms);
            let Decision {
                verdict,
                background,
            } = decision;
            let (wait, charge) = match verdict {
                Verdict::Wait(wait) => (wait, None),
                Verdict::Charge(charge) => (Wait::default(), Some(charge)),
                settled => {
                    self.start(&ctx, background);
                    return reply(&settled, false);
                }
            };
            pending = Pending {
                wait,
                background,
                charge,
            };
        }
        let refusal = Refusal::KeysUnavailable {
            retry_after_secs: 1,
        };
        let trace = self.state.borrow_mut().ids.name(&Headers::default());
        let answer = self.refused(None, None, &refusal, &trace.request_id);
        reply(&Verdict::Answer(Box::new(answer)), false)
    }

    /// A refusal outside of a decision.
    pub(crate) fn refused(
        &self,
        route: Option<usize>,
        origin: Option<&str>,
        refusal: &Refusal,
        request_id: &str,
    ) -> Answer {
        let route = route.and_then(|route| self.config.routes.get(route));
        let (state, now) = (self.state.borrow(), clock::now());
        answer::refusal(
            &self.config,
            &state,
            now,
            route,
            origin,
            refusal,
            request_id,
        )
    }

    /// Starts work that outlives the request if need be, and waits for it as long as asked.
    async fn serve(self: &Rc<Self>, ctx: &Rc<Context>, wait: Wait) {
        let bounded = wait.work.into_iter().map(|(work, longest_ms)| {
            let work = Rc::clone(self)
                .perform(Rc::clone(ctx), work)
                .boxed_local()
                .shared();
            ctx.wait_until(work.clone());
            async move {
                select(work, pin!(clock::sleep(longest_ms))).await;
            }
        });
        join_all(bounded).await;
        if let Some(millis) = wait.again_after_ms {
            clock::sleep(millis).await;
        }
    }

    fn start(self: &Rc<Self>, ctx: &Rc<Context>, background: Vec<Work>) {
        for work in background {
            ctx.wait_until(Rc::clone(self).perform(Rc::clone(ctx), work));
        }
    }
}

fn reply(verdict: &Verdict, background: bool) -> String {
    let (forward, answer) = match verdict {
        Verdict::Forward(forward) => (Some(&**forward), None),
        Verdict::Answer(answer) => (None, Some(&**answer)),
        Verdict::Wait(_) | Verdict::Charge(_) | Verdict::Stands => (None, None),
    };
    let reply = Reply {
        forward,
        answer,
        background,
    };
    serde_json::to_string(&reply).expect("strings, numbers and lists always serialise")
}

/// The origin of a request that was decided about before.
fn origin_of(request: &str) -> Option<&str> {
    Incoming::parse(request).ok()?.headers.get("origin")
}

/// Where the code broke, without the message, which may repeat input.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    log::event("panic", "gateway", &place);
}

/// The shorter of the two periods that a counter of the data centre can have.
pub(crate) const COUNTER_PERIOD_SECS: u64 = 10;
/// Waits are at least 25 ms and end after 6 s; twice as many rounds are a fault of ours.
const MAX_ROUNDS: usize = 512;
