//! The page where somebody pays, and the one from which a developer plays bank.

use std::fmt::Write;

use super::form::{pairs, value};
use super::objects::{Payment, Session};
use super::{Answer, Fault, Request, StandIn};

impl StandIn {
    /// Answers whatever is not the API.
    pub(super) fn answer_page(&mut self, request: &Request, now: i64) -> Answer {
        let origin = request.header("origin");
        if !origin.is_empty() && origin != self.options.base_url {
            return page(
                403,
                "Not from here",
                "",
                "<p>This page is not for other sites.</p>",
            );
        }
        let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [""]) => self.overview(),
            ("GET", ["pay", id]) => match self.sessions.get(*id) {
                Some(session) => checkout(session, now),
                None => absent(),
            },
            ("GET", ["control", "sessions"]) => Answer {
                body: serde_json::json!(self.session_ids()).to_string(),
                ..told(true)
            },
            ("POST", ["pay", id]) => self.take_payment(id, &request.body, now),
            ("POST", ["control", rest @ ..]) => {
                let done = self.control(rest, &request.body, now);
                match request.header("accept").contains("application/json") {
                    true => told(done),
                    false => go_to("/"),
                }
            }
            _ => absent(),
        }
    }

    fn take_payment(&mut self, id: &str, body: &str, now: i64) -> Answer {
        let done = match value(&pairs(body), "how") {
            "transfer" => self.pay_later(id, now),
            _ => self.pay(id, now),
        };
        match self.sessions.get(id) {
            Some(session) if done => {
                go_to(&session.success_url.replace("{CHECKOUT_SESSION_ID}", id))
            }
            Some(session) => checkout(session, now),
            None => absent(),
        }
    }

    /// What a developer can make happen; false when it cannot happen now.
    fn control(&mut self, path: &[&str], body: &str, now: i64) -> bool {
        let fields = pairs(body);
        match path {
            ["payments", id, act] => match *act {
                "refund" => {
                    let amount = value(&fields, "amount").parse().ok();
                    self.refund(id, amount, now).is_some()
                }
                "refund-half" => {
                    let half = self.payments.get(*id).map(|payment| payment.amount / 2);
                    half.is_some_and(|half| self.refund(id, Some(half), now).is_some())
                }
                "fail-refund" => self.fail_refund(id, now),
                "dispute" => self.dispute(id, now),
                "win-dispute" => self.end_dispute(id, true, now),
                "lose-dispute" => self.end_dispute(id, false, now),
                _ => false,
            },
            ["sessions", id, "expire"] => self.expire(id, now).is_some(),
            ["sessions", id, "arrive"] => self.end_transfer(id, true, now),
            ["sessions", id, "fail"] => self.end_transfer(id, false, now),
            ["events", id, "resend"] => {
                self.resend(id, now);
                true
            }
            ["faults", name] => {
                let fault = Fault::parse(name);
                self.fail_next(fault.as_slice());
                fault.is_some()
            }
            ["duplicates"] => {
                let on = !self.outbox.duplicates();
                self.outbox.set_duplicates(on);
                true
            }
            _ => false,
        }
    }

    fn overview(&self) -> Answer {
        let mut body = String::from(
            "<h1>Stripe, as it is here</h1><p class=\"quiet\">No money moves. Play the bank: what you do here is reported to the issuer as Stripe would.</p>",
        );
        self.write_payments(&mut body);
        self.write_sessions(&mut body);
        self.write_events(&mut body);
        self.write_troubles(&mut body);
        page(200, "Stripe, as it is here", "wide", &body)
    }

    fn write_payments(&self, body: &mut String) {
        body.push_str("<h2>Payments</h2>");
        if self.payments.is_empty() {
            body.push_str("<p class=\"quiet\">Nobody has paid yet. <code>POST /api/v1/credits/checkout</code> answers the page to pay on.</p>");
            return;
        }
        body.push_str("<div class=\"scroll\"><table><tr><th>Payment</th><th>What</th><th>Amount</th><th>State</th><th>Make it happen</th></tr>");
        for payment in self.payments.values().rev().take(MAX_ROWS) {
            let acts = payment_acts(payment);
            let buttons = acts.iter().map(|(act, label)| {
                button(&format!("/control/payments/{}/{act}", payment.id), label)
            });
            let row = [
                code(&payment.id),
                escape(&payment.name),
                money(payment.amount, &payment.currency),
                state_of(payment),
                buttons.collect(),
            ];
            write_row(body, &row);
        }
        body.push_str("</table></div>");
    }

    fn write_sessions(&self, body: &mut String) {
        let waiting = |session: &&Session| {
            session.status == "open"
                || (session.status == "complete" && session.payment_status == "unpaid")
        };
        let waiting: Vec<&Session> = self.sessions.values().rev().filter(waiting).collect();
        if waiting.is_empty() {
            return;
        }
        body.push_str("<h2>Checkouts that are not paid</h2><div class=\"scroll\"><table><tr><th>Checkout</th><th>What</th><th>Amount</th><th>State</th><th>Make it happen</th></tr>");
        for session in waiting.into_iter().take(MAX_ROWS) {
            let at = |act: &str| format!("/control/sessions/{}/{act}", session.id);
            let (state, acts) = match session.status {
                "open" => (
                    "open",
                    format!(
                        "<a class=\"button\" href=\"{}\">Pay</a> {}",
                        escape(&session.url),
                        button(&at("expire"), "Let it expire")
                    ),
                ),
                _ => (
                    "transfer under way",
                    button(&at("arrive"), "Transfer arrives")
                        + &button(&at("fail"), "Transfer fails"),
                ),
            };
            let row = [
                code(&session.id),
                escape(&session.name),
                money(session.amount, &session.currency),
                state.into(),
                acts,
            ];
            write_row(body, &row);
        }
        body.push_str("</table></div>");
    }

    fn write_events(&self, body: &mut String) {
        body.push_str("<h2>Reported to the issuer</h2>");
        if self.events().next().is_none() {
            body.push_str("<p class=\"quiet\">Nothing yet.</p>");
            return;
        }
        body.push_str("<div class=\"scroll\"><table><tr><th>Event</th><th>Type</th><th>Tries</th><th>Answer</th><th></th></tr>");
        for (id, kind, attempts, status) in self.outbox.log().rev().take(MAX_ROWS) {
            let answer = match status {
                Some(status @ 200..300) => format!("<span class=\"good\">{status}</span>"),
                Some(0) => "<span class=\"wrong\">none</span>".into(),
                Some(status) => format!("<span class=\"wrong\">{status}</span>"),
                None => "on its way".into(),
            };
            let row = [
                code(&id),
                code(&kind),
                attempts.to_string(),
                answer,
                button(&format!("/control/events/{id}/resend"), "Send again"),
            ];
            write_row(body, &row);
        }
        body.push_str("</table></div>");
    }

    fn write_troubles(&self, body: &mut String) {
        body.push_str("<h2>Trouble</h2><p class=\"quiet\">What goes wrong with the next request of the issuer:</p><p>");
        for (name, label) in [
            ("rate_limited", "429"),
            ("unavailable", "503"),
            ("key_in_use", "409, key in use"),
            ("failing", "500, also when repeated"),
            ("lost", "done, answer lost"),
        ] {
            body.push_str(&button(&format!("/control/faults/{name}"), label));
            body.push(' ');
        }
        let label = match self.outbox.duplicates() {
            true => "Report everything once again",
            false => "Report everything twice",
        };
        body.push_str(&button("/control/duplicates", label));
        let waiting = self.faults.len();
        write!(
            body,
            "</p><p class=\"quiet\">Requests so far: {}. Of the next, {waiting} will go wrong.</p>",
            self.n_requests()
        )
        .expect("a string grows");
    }
}

fn checkout(session: &Session, now: i64) -> Answer {
    let price = money(session.amount, &session.currency);
    let back = escape(&session.cancel_url);
    let mut body = format!(
        "<p class=\"note\">Development: no money moves</p><h1>{}</h1><p class=\"price\">{price}</p>",
        escape(&session.name)
    );
    match session.status {
        "open" if session.expires_at > now => {
            write!(
                body,
                "<form method=\"post\"><button class=\"main\" id=\"pay\" name=\"how\" value=\"card\">Pay {price}</button>\
                 <button name=\"how\" value=\"transfer\">Pay by bank transfer</button></form>"
            )
            .expect("a string grows");
            if !back.is_empty() {
                write!(
                    body,
                    "<a class=\"button\" href=\"{back}\">Cancel and go back</a>"
                )
                .expect("a string grows");
            }
            body.push_str("<p class=\"quiet\">The button pays as a card would, at once. A bank transfer arrives when you say so on the <a href=\"/\">overview</a>.</p>");
        }
        "complete" => body.push_str("<p class=\"good\">This has been paid.</p>"),
        _ => body.push_str("<p class=\"wrong\">This checkout has expired.</p>"),
    }
    page(200, &session.name, "", &body)
}

fn payment_acts(payment: &Payment) -> Vec<(&'static str, &'static str)> {
    let left = payment.amount - payment.refunded();
    let disputed = payment
        .disputes
        .iter()
        .any(|dispute| dispute.status == "needs_response");
    let mut acts = Vec::new();
    if left > 0 {
        acts.push(("refund", "Refund what is left"));
    }
    if left > payment.amount / 2 {
        acts.push(("refund-half", "Refund half"));
    }
    if payment.refunded() > 0 {
        acts.push(("fail-refund", "Let the last refund fail"));
    }
    match disputed {
        true => acts.extend([
            ("win-dispute", "Win the dispute"),
            ("lose-dispute", "Lose it"),
        ]),
        false => acts.push(("dispute", "Dispute")),
    }
    acts
}

fn state_of(payment: &Payment) -> String {
    let mut words = vec!["paid".to_owned()];
    if payment.refunded() > 0 {
        words.push(format!(
            "{} refunded",
            money(payment.refunded(), &payment.currency)
        ));
    }
    words.extend(payment.disputes.iter().map(|dispute| match dispute.status {
        "won" => "dispute won".into(),
        "lost" => "dispute lost".into(),
        _ => "<span class=\"wrong\">disputed</span>".into(),
    }));
    words.join(", ")
}

fn write_row(body: &mut String, [id, what, third, state, acts]: &[String; 5]) {
    write!(
        body,
        "<tr><td>{id}</td><td>{what}</td><td class=\"number\">{third}</td><td>{state}</td><td class=\"acts\">{acts}</td></tr>"
    )
    .expect("a string grows");
}

fn button(action: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{}\"><button>{label}</button></form>",
        escape(action)
    )
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

fn money(amount: i64, currency: &str) -> String {
    let currency = escape(&currency.to_ascii_uppercase());
    format!("{}.{:02} {currency}", amount / 100, amount % 100)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn absent() -> Answer {
    page(
        404,
        "Nothing here",
        "",
        "<h1>Nothing here</h1><p>A checkout of an earlier run is gone: begin another.</p><a class=\"button\" href=\"/\">Overview</a>",
    )
}

fn told(done: bool) -> Answer {
    Answer {
        status: if done { 200 } else { 409 },
        headers: vec![("content-type", "application/json".into())],
        body: format!("{{\"done\":{done}}}"),
        lost: false,
    }
}

fn go_to(url: &str) -> Answer {
    Answer {
        status: 303,
        headers: vec![("location", url.to_owned())],
        body: String::new(),
        lost: false,
    }
}

fn page(status: u16, title: &str, class: &str, body: &str) -> Answer {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body><main class=\"{class}\">{body}</main></body></html>"
    );
    Answer {
        status,
        headers: vec![("content-type", "text/html; charset=utf-8".into())],
        body: html,
        lost: false,
    }
}

const STYLE: &str = include_str!("../style.css");
/// What somebody looks through at once.
const MAX_ROWS: usize = 50;
