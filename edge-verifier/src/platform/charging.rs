//! Asks the issuer to hold, spend and give back credits: again and again with the same key until
//! it is known what came of it.

use std::rc::Rc;

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::Context;

use crate::answer;
use crate::charging::{self, ATTEMPT_MS, End, Hold, LATER_PAUSES_MS, Order, Outcome, PAUSES_MS};
use crate::config::{Charge, ChargeWhen};
use crate::cors::HeaderList;
use crate::decide::Verdict;
use crate::forward::Forward;
use crate::refusal::Refusal;

use super::fetch::{self, Asked};
use super::gateway::{COUNTER_PERIOD_SECS, Isolate};
use super::{clock, log};

/// What the entry does with the backend's answer once the hold is settled.
#[derive(Default, Serialize)]
struct Settled<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a answer::Answer>,
    set: HeaderList,
    append: HeaderList,
}

#[wasm_bindgen]
extern "C" {
    /// 122 bits that nobody guesses.
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

impl Isolate {
    /// Charges as ordered; forwards when that succeeded, and answers otherwise.
    pub(crate) async fn charge(
        &self,
        (order, mut forward): (Order, Forward),
        origin: Option<&str>,
    ) -> Verdict {
        let key = random_uuid();
        let placed = match self.count_user(&mut forward).await {
            Ok(()) => self.place(&order, &key).await,
            Err(refusal) => Err(refusal),
        };
        match placed {
            Ok(Some(id)) => {
                let route = order.route;
                forward.hold = Some(Hold { id, key, route });
            }
            Ok(None) => {
                let (set, append) = charging::receipt(&order.charge);
                forward.answer.set.extend(set);
                forward.answer.append.extend(append);
            }
            Err(refusal) => {
                let answer = self.refused(Some(order.route), origin, &refusal, &forward.request_id);
                return Verdict::Answer(Box::new(answer));
            }
        }
        Verdict::Forward(Box::new(forward))
    }

    /// Asks the data centre's counter before anything is charged, so that the entry need not ask it
    /// afterwards. One that fails has not said no.
    async fn count_user(&self, forward: &mut Forward) -> Result<(), Refusal> {
        let (Some(counter), Some(who)) = (&self.bindings.users_counter, forward.counted_as.take())
        else {
            return Ok(());
        };
        match counter.limit(who).await {
            Ok(outcome) if !outcome.success => Err(Refusal::RateLimited {
                retry_after_secs: COUNTER_PERIOD_SECS,
            }),
            _ => Ok(()),
        }
    }

    async fn place(&self, order: &Order, key: &str) -> Result<Option<String>, Refusal> {
        let service_token = self.service_token(&order.charge);
        for pause in PAUSES_MS {
            rest(pause).await;
            let asked = Asked {
                url: self.api_url(order.path()),
                service_token,
                user_token: Some(order.user_token.expose()),
                key,
                body: Some(order.body()),
            };
            let outcome = match fetch::post(&asked, ATTEMPT_MS, MAX_ANSWER_BYTES).await {
                Ok(answer) => {
                    order.read(answer.status, answer.retry_after.as_deref(), &answer.body)
                }
                Err(_) => Outcome::Again,
            };
            match outcome {
                Outcome::Done(id) => return Ok(id),
                Outcome::Refused(refusal) => {
                    if refusal == Refusal::ChargingNotSetUp {
                        log::event("credits", "hold", "service_token_refused");
                    }
                    return Err(refusal);
                }
                Outcome::Again => {}
            }
        }
        log::event("credits", "hold", "issuer_away");
        Err(Refusal::ChargingUnavailable)
    }

    /// Ends a hold as the backend's answer wants it; a status of 0 is no answer. What is given
    /// back, nobody waits for.
    pub(crate) async fn settle(
        self: Rc<Self>,
        ctx: Rc<Context>,
        hold: Hold,
        status: u16,
        origin: Option<String>,
        request_id: String,
    ) -> String {
        let charge = self
            .config
            .routes
            .get(hold.route)
            .and_then(|route| route.charge.clone());
        let Some(charge) = charge else {
            return settled(&Settled::default());
        };
        let end = End::of(&charge, status);
        if end == End::Release {
            ctx.wait_until(self.end_later(hold, charge, end));
            return settled(&Settled::default());
        }
        match self.end(&hold, &charge, end, &PAUSES_MS).await {
            Outcome::Done(()) => {
                let (set, append) = charging::receipt(&charge);
                settled(&Settled {
                    answer: None,
                    set,
                    append,
                })
            }
            Outcome::Refused(refusal) => {
                log::event("credits", end.as_str(), "refused");
                let origin = origin.as_deref();
                let answer = self.refused(Some(hold.route), origin, &refusal, &request_id);
                settled(&Settled {
                    answer: Some(&answer),
                    ..Settled::default()
                })
            }
            Outcome::Again => {
                // It may well be charged by now, so that the answer is the user's.
                log::event("credits", end.as_str(), "unknown");
                ctx.wait_until(self.end_later(hold, charge, end));
                settled(&Settled::default())
            }
        }
    }

    async fn end(&self, hold: &Hold, charge: &Charge, end: End, pauses: &[u32]) -> Outcome<()> {
        for pause in pauses {
            rest(*pause).await;
            let asked = Asked {
                url: self.api_url(&hold.path(end)),
                service_token: self.service_token(charge),
                user_token: None,
                key: &hold.key_of(end),
                body: None,
            };
            let outcome = match fetch::post(&asked, ATTEMPT_MS, MAX_ANSWER_BYTES).await {
                Ok(answer) => End::read(answer.status),
                Err(_) => Outcome::Again,
            };
            if outcome != Outcome::Again {
                return outcome;
            }
        }
        Outcome::Again
    }

    async fn end_later(self: Rc<Self>, hold: Hold, charge: Charge, end: End) {
        let pauses: Vec<u32> = match end {
            End::Capture => LATER_PAUSES_MS.into(),
            End::Release => PAUSES_MS.into_iter().chain(LATER_PAUSES_MS).collect(),
        };
        match self.end(&hold, &charge, end, &pauses).await {
            Outcome::Done(()) => {}
            Outcome::Refused(_) => log::event("credits", end.as_str(), "refused"),
            Outcome::Again => log::event("credits", end.as_str(), "given_up"),
        }
    }

    /// The headers of the gateway's own answer to a request it has charged beforehand.
    pub(crate) fn receipt_of_failure(&self, route: usize) -> HeaderList {
        let charge = self
            .config
            .routes
            .get(route)
            .and_then(|route| route.charge.as_ref());
        let charged = charge.filter(|charge| charge.when == ChargeWhen::Before);
        charged.map_or_else(Vec::new, |charge| charging::receipt(charge).0)
    }

    fn service_token(&self, charge: &Charge) -> &str {
        // A route whose app has no token is refused before it is asked for.
        self.bindings
            .service_tokens
            .find(&charge.app_id)
            .unwrap_or_default()
    }

    fn api_url(&self, path: &str) -> String {
        format!("{}{path}", self.config.issuer.url)
    }
}

/// A first attempt is made at once.
async fn rest(millis: u32) {
    if millis > 0 {
        clock::sleep(millis).await;
    }
}

fn settled(settled: &Settled<'_>) -> String {
    serde_json::to_string(settled).expect("strings, numbers and lists always serialise")
}

/// A hold with its problem document takes less than a kilobyte.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
