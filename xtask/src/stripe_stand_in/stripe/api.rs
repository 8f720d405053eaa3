//! The API as Stripe documents it: form in, JSON out, idempotency keys, error objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::form::{pairs, value};
use super::objects::Session;
use super::{Answer, Fault, Remembered, Request, StandIn};

/// Why not: status, kind, code, words.
type Refusal = (u16, &'static str, &'static str, &'static str);

impl StandIn {
    /// Answers a request to `/v1/…`.
    pub(super) fn answer_api(&mut self, request: &Request, path: &[&str], now: i64) -> Answer {
        self.n_requests += 1;
        if request.header("authorization") != format!("Bearer {}", self.options.secret_key) {
            return refuse((
                401,
                "invalid_request_error",
                "",
                "Invalid API Key provided.",
            ));
        }
        let fault = self.faults.pop_front();
        match fault {
            Some(Fault::RateLimited) => {
                return refuse((
                    429,
                    "invalid_request_error",
                    "rate_limit",
                    "Too many requests.",
                ));
            }
            Some(Fault::Unavailable) => return refuse((503, "api_error", "", "Try again.")),
            Some(Fault::KeyInUse) => {
                return refuse((
                    409,
                    "idempotency_error",
                    "idempotency_key_in_use",
                    "In progress.",
                ));
            }
            Some(Fault::Failing | Fault::Lost) | None => {}
        }
        let mut answer = self.answer_once(request, path, fault == Some(Fault::Failing), now);
        answer.lost = fault == Some(Fault::Lost);
        answer
    }

    /// The same key and body get the same answer, the same key with another body an error.
    fn answer_once(&mut self, request: &Request, path: &[&str], failing: bool, now: i64) -> Answer {
        let key = request.header("idempotency-key").to_owned();
        let asked = format!("{} {} {}", request.method, request.path, request.body);
        if let Some(before) = self.answered.get(&key).filter(|_| request.method == "POST") {
            if before.request != asked {
                let words = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
                return refuse((400, "idempotency_error", "", words));
            }
            let mut answer = json(before.status, before.body.clone());
            answer.headers.push(("idempotent-replayed", "true".into()));
            return answer;
        }
        let answer = match failing {
            true => refuse((
                500,
                "api_error",
                "",
                "Something went wrong on Stripe's end.",
            )),
            false => match self.act(request, path, now) {
                Ok(object) => json(200, object.to_string()),
                // What was refused before it began is not remembered.
                Err(refusal) => return refuse(refusal),
            },
        };
        if request.method == "POST" && !key.is_empty() {
            let remembered = Remembered {
                request: asked,
                status: answer.status,
                body: answer.body.clone(),
            };
            self.answered.insert(key, remembered);
        }
        answer
    }

    fn act(&mut self, request: &Request, path: &[&str], now: i64) -> Result<Value, Refusal> {
        let absent = (
            404,
            "invalid_request_error",
            "resource_missing",
            "There is no such object.",
        );
        match (request.method.as_str(), path) {
            ("POST", ["checkout", "sessions"]) => self.open_session(&request.body, now),
            ("GET", ["checkout", "sessions", id]) => {
                self.sessions.get(*id).map(Session::to_json).ok_or(absent)
            }
            ("POST", ["checkout", "sessions", id, "expire"]) => {
                let not_open = (
                    400,
                    "invalid_request_error",
                    "",
                    "Only sessions with status `open` can be expired.",
                );
                self.expire(id, now).ok_or(not_open)
            }
            ("POST", ["refunds"]) => {
                let fields = pairs(&request.body);
                let amount = value(&fields, "amount").parse().ok();
                let too_much = (
                    400,
                    "invalid_request_error",
                    "charge_already_refunded",
                    "Nothing, or not so much, is left to refund.",
                );
                let payment_id = value(&fields, "payment_intent").to_owned();
                self.refund(&payment_id, amount, now).ok_or(too_much)
            }
            ("GET", ["events"]) => {
                let newest: Vec<Value> = self.events().cloned().collect();
                let newest: Vec<Value> = newest.into_iter().rev().take(MAX_LISTED).collect();
                Ok(
                    json!({"object": "list", "data": newest, "has_more": false, "url": "/v1/events"}),
                )
            }
            _ => Err((
                404,
                "invalid_request_error",
                "",
                "Unrecognized request URL.",
            )),
        }
    }

    fn open_session(&mut self, body: &str, now: i64) -> Result<Value, Refusal> {
        let fields = pairs(body);
        check(&fields, now)?;
        let id = self.next_id("cs_test_");
        let field = |name: &str| value(&fields, name).to_owned();
        let price = |name: &str| field(&format!("line_items[0][price_data]{name}"));
        let session = Session {
            name: price("[product_data][name]"),
            amount: price("[unit_amount]").parse().unwrap_or(0),
            currency: price("[currency]"),
            success_url: field("success_url"),
            cancel_url: field("cancel_url"),
            reference: field("client_reference_id"),
            metadata: map(&fields, "metadata["),
            payment_metadata: map(&fields, "payment_intent_data[metadata]["),
            created: now,
            expires_at: value(&fields, "expires_at")
                .parse()
                .unwrap_or(now + DAY_SECS),
            status: "open",
            payment_status: "unpaid",
            payment_id: None,
            url: format!("{}/pay/{id}", self.options.base_url),
            id: id.clone(),
        };
        let object = session.to_json();
        self.sessions.insert(id, session);
        Ok(object)
    }
}

fn check(fields: &[(String, String)], now: i64) -> Result<(), Refusal> {
    let bad = |words| Err((400, "invalid_request_error", "parameter_invalid", words));
    for (name, _) in fields {
        if !KNOWN.iter().any(|known| name.starts_with(known)) {
            let words = "Received unknown parameter.";
            return Err((400, "invalid_request_error", "parameter_unknown", words));
        }
    }
    for name in REQUIRED {
        if value(fields, name).is_empty() {
            let words = "Missing required param.";
            return Err((400, "invalid_request_error", "parameter_missing", words));
        }
    }
    let price = "line_items[0][price_data]";
    let amount: Option<i64> = value(fields, &format!("{price}[unit_amount]")).parse().ok();
    let expires_at: Option<i64> = value(fields, "expires_at").parse().ok();
    let currency = value(fields, &format!("{price}[currency]"));
    if value(fields, "mode") != "payment" || value(fields, "line_items[0][quantity]") != "1" {
        return bad("This stand-in sells one thing at a time.");
    }
    if amount.is_none_or(|amount| !(1..=99_999_999).contains(&amount)) {
        return bad("Invalid integer: unit_amount.");
    }
    if currency.len() != 3 || currency.bytes().any(|b| !b.is_ascii_lowercase()) {
        return bad("Invalid currency.");
    }
    let range = now + HALF_HOUR_SECS..=now + DAY_SECS;
    if expires_at.is_some_and(|at| !range.contains(&at)) {
        return bad("expires_at must be between 30 minutes and 24 hours from creation.");
    }
    Ok(())
}

fn map(fields: &[(String, String)], prefix: &str) -> BTreeMap<String, String> {
    let named = fields.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(prefix)?.strip_suffix(']')?;
        Some((name.to_owned(), value.clone()))
    });
    named.collect()
}

fn refuse((status, kind, code, words): Refusal) -> Answer {
    let mut error = json!({"type": kind, "message": words});
    if !code.is_empty() {
        error["code"] = json!(code);
    }
    json(status, json!({ "error": error }).to_string())
}

fn json(status: u16, body: String) -> Answer {
    Answer {
        status,
        headers: vec![("content-type", "application/json".into())],
        body,
        lost: false,
    }
}

const REQUIRED: [&str; 5] = [
    "mode",
    "success_url",
    "line_items[0][price_data][currency]",
    "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][product_data][name]",
];
const KNOWN: [&str; 8] = [
    "mode",
    "client_reference_id",
    "metadata[",
    "payment_intent_data[metadata][",
    "line_items[0][",
    "success_url",
    "cancel_url",
    "expires_at",
];
const MAX_LISTED: usize = 100;
const HALF_HOUR_SECS: i64 = 1_800;
const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    const ORDER: &str = "mode=payment&success_url=https://a.example/&cancel_url=https://a.example/&line_items[0][quantity]=1\
        &line_items[0][price_data][currency]=eur&line_items[0][price_data][unit_amount]=500\
        &line_items[0][price_data][product_data][name]=Small&metadata[purchase_id]=p1&expires_at=10000";

    fn stand_in() -> StandIn {
        StandIn::new(Options {
            secret_key: "sk_test_1".into(),
            webhook_secret: "whsec_1".into(),
            base_url: "http://127.0.0.1:1".into(),
            run: "r".into(),
            speed: 1,
        })
    }

    fn post(stripe: &mut StandIn, path: &str, key: &str, body: &str) -> (u16, Value) {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request {
            method: "POST".into(),
            path: path.into(),
            headers: [
                header("authorization", "Bearer sk_test_1"),
                header("idempotency-key", key),
            ]
            .into(),
            body: body.into(),
        };
        let answer = stripe.answer(&request, 5_000);
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    fn order(stripe: &mut StandIn, key: &str, body: &str) -> (u16, Value) {
        post(stripe, "/v1/checkout/sessions", key, body)
    }

    #[test]
    fn same_key_gives_the_same_session_and_another_body_an_error() {
        let mut stripe = stand_in();
        let (status, first) = order(&mut stripe, "k", ORDER);
        assert_eq!(status, 200, "{first}");
        assert_eq!(order(&mut stripe, "k", ORDER).1, first);
        let other = order(&mut stripe, "k", &ORDER.replace("500", "501"));
        assert_eq!(
            (other.0, &other.1["error"]["type"]),
            (400, &json!("idempotency_error"))
        );
        assert_ne!(order(&mut stripe, "l", ORDER).1["id"], first["id"]);
    }

    #[test]
    fn failures_before_the_work_are_not_remembered_and_those_after_it_are() {
        let mut stripe = stand_in();
        stripe.fail_next(&[Fault::RateLimited, Fault::Unavailable, Fault::KeyInUse]);
        for expected in [429, 503, 409, 200] {
            assert_eq!(order(&mut stripe, "k", ORDER).0, expected);
        }
        stripe.fail_next(&[Fault::Failing]);
        assert_eq!(order(&mut stripe, "l", ORDER).0, 500);
        assert_eq!(
            order(&mut stripe, "l", ORDER).0,
            500,
            "also the second time"
        );
    }

    #[test]
    fn orders_with_something_wrong_are_refused() {
        let mut stripe = stand_in();
        for (from, to, code) in [
            ("mode=payment", "mode=setup", "parameter_invalid"),
            ("unit_amount]=500", "unit_amount]=5.5", "parameter_invalid"),
            ("expires_at=10000", "expires_at=5001", "parameter_invalid"),
            (
                "success_url=https://a.example/",
                "success_url=",
                "parameter_missing",
            ),
            ("metadata[purchase_id]", "surprise", "parameter_unknown"),
        ] {
            let (status, body) = order(&mut stripe, from, &ORDER.replace(from, to));
            assert_eq!(
                (status, &body["error"]["code"]),
                (400, &json!(code)),
                "{to}"
            );
        }
        assert!(stripe.session_ids().is_empty());
    }

    #[test]
    fn refunds_never_exceed_the_payment() {
        let mut stripe = stand_in();
        let session = order(&mut stripe, "k", ORDER).1["id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(stripe.pay(&session, 5_000));
        assert!(!stripe.pay(&session, 5_000), "only once");
        let payment = stripe.payment_of(&session).unwrap();
        let refund = |stripe: &mut StandIn, key: &str, amount: i64| {
            let body = format!("payment_intent={payment}&amount={amount}");
            post(stripe, "/v1/refunds", key, &body).0
        };
        assert_eq!(refund(&mut stripe, "a", 300), 200);
        assert_eq!(refund(&mut stripe, "b", 201), 400);
        assert_eq!(refund(&mut stripe, "c", 200), 200);
        assert!(stripe.fail_refund(&payment, 5_000));
        let kinds: Vec<_> = stripe.events().map(|event| event["type"].clone()).collect();
        assert_eq!(
            kinds,
            [
                "checkout.session.completed",
                "payment_intent.succeeded",
                "refund.created",
                "charge.refunded",
                "refund.created",
                "charge.refunded",
                "refund.failed"
            ]
        );
    }
}
