//! Reading what Stripe reports. Only ids, amounts and states are taken from it.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// A report, as far as it concerns us.
#[derive(Debug, PartialEq)]
pub struct StripeEvent {
    /// Its id; a repeated report has the same.
    pub id: String,
    /// What kind of report.
    pub kind: String,
    /// When Stripe made it.
    pub created_at: OffsetDateTime,
    /// The object it is about.
    pub object_id: Option<String>,
    /// The payment it is about.
    pub payment_id: Option<String>,
    /// The purchase it names.
    pub purchase_id: Option<String>,
    /// What it says.
    pub reading: Reading,
}

/// What a report says.
#[derive(Debug, PartialEq)]
pub enum Reading {
    /// Facts to apply.
    Facts(Value),
    /// No concern of ours, and why.
    Ignored(&'static str),
    /// Of a kind that we know, without what belongs to it.
    Unreadable,
}

impl StripeEvent {
    /// `None` when it is not a report at all.
    pub fn parse(body: &[u8], live: bool) -> Option<Self> {
        let envelope: Envelope = serde_json::from_slice(body).ok()?;
        let created_at = OffsetDateTime::from_unix_timestamp(envelope.created).ok()?;
        let object = envelope.data.object;
        if !is_id(&envelope.id) || !is_id(&envelope.kind) || envelope.kind.len() > MAX_TYPE_BYTES {
            return None;
        }
        let reading = match envelope.livemode == live {
            true => read(&envelope.kind, &object),
            false => Reading::Ignored("other_mode"),
        };
        Some(Self {
            id: envelope.id,
            kind: envelope.kind,
            created_at,
            object_id: id_at(&object, "id"),
            payment_id: id_at(&object, "payment_intent"),
            purchase_id: purchase_of(&object),
            reading,
        })
    }
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    livemode: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

fn read(kind: &str, object: &Value) -> Reading {
    match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            read_paid(object)
        }
        "checkout.session.async_payment_failed" => read_ended(object, "failed"),
        "checkout.session.expired" => read_ended(object, "expired"),
        "charge.refunded" => of_payment(object, read_charge(object)),
        "refund.created" | "refund.updated" | "charge.refund.updated" => {
            of_payment(object, read_refund(object, false))
        }
        "refund.failed" => of_payment(object, read_refund(object, true)),
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.closed"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated" => of_payment(object, read_dispute(object)),
        _ => Reading::Ignored("unknown_type"),
    }
}

fn read_paid(session: &Value) -> Reading {
    if purchase_of(session).is_none() || session["mode"] != "payment" {
        return Reading::Ignored("not_ours");
    }
    // A bank transfer or debit is completed days before it is paid.
    if session["payment_status"] != "paid" {
        return Reading::Ignored("awaiting_payment");
    }
    let facts = || {
        Some(json!({
            "kind": "paid",
            "sessionId": id_at(session, "id")?,
            "paymentId": id_at(session, "payment_intent")?,
            "amountCents": amount_at(session, "amount_total")?,
            "currency": currency_of(session)?,
        }))
    };
    facts().map_or(Reading::Unreadable, Reading::Facts)
}

fn read_ended(session: &Value, status: &str) -> Reading {
    if purchase_of(session).is_none() {
        return Reading::Ignored("not_ours");
    }
    match id_at(session, "id") {
        Some(id) => Reading::Facts(json!({"kind": "ended", "sessionId": id, "status": status})),
        None => Reading::Unreadable,
    }
}

fn read_charge(charge: &Value) -> Option<Value> {
    Some(json!({
        "kind": "charge",
        "paymentId": id_at(charge, "payment_intent")?,
        "refundedCents": amount_at(charge, "amount_refunded")?,
    }))
}

fn read_refund(refund: &Value, failed: bool) -> Option<Value> {
    let status = refund["status"].as_str();
    Some(json!({
        "kind": "refund",
        "refundId": id_at(refund, "id")?,
        "paymentId": id_at(refund, "payment_intent")?,
        "amountCents": amount_at(refund, "amount")?,
        "failed": failed || matches!(status, Some("failed" | "canceled")),
    }))
}

fn read_dispute(dispute: &Value) -> Option<Value> {
    let status = match dispute["status"].as_str()? {
        "warning_needs_response" | "warning_under_review" => "inquiry",
        "won" | "warning_closed" | "prevented" | "charge_refunded" => "won",
        "lost" => "lost",
        // One that we do not know may cost money: nothing is spent meanwhile.
        _ => "open",
    };
    Some(json!({
        "kind": "dispute",
        "disputeId": id_at(dispute, "id")?,
        "paymentId": id_at(dispute, "payment_intent")?,
        "amountCents": amount_at(dispute, "amount")?,
        "currency": currency_of(dispute)?,
        "status": status,
    }))
}

/// Every payment of ours has a payment intent.
fn of_payment(object: &Value, facts: Option<Value>) -> Reading {
    match facts {
        Some(facts) => Reading::Facts(facts),
        None if object["payment_intent"].is_null() => Reading::Ignored("not_ours"),
        None => Reading::Unreadable,
    }
}

/// An id, or the id of an object that Stripe has put in its place.
fn id_at(object: &Value, member: &str) -> Option<String> {
    let value = &object[member];
    let id = value.as_str().or_else(|| value["id"].as_str())?;
    is_id(id).then(|| id.to_owned())
}

/// We write it into both.
fn purchase_of(object: &Value) -> Option<String> {
    let named = object["metadata"]["purchase_id"].as_str();
    let id = named.or_else(|| object["client_reference_id"].as_str())?;
    (is_id(id) && id.len() <= MAX_PURCHASE_ID_BYTES).then(|| id.to_owned())
}

fn amount_at(object: &Value, member: &str) -> Option<i64> {
    object[member]
        .as_i64()
        .filter(|amount| (0..=MAX_AMOUNT).contains(amount))
}

fn currency_of(object: &Value) -> Option<String> {
    let currency = object["currency"].as_str()?;
    let fits = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_alphabetic());
    fits.then(|| currency.to_ascii_uppercase())
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Stripe's ids have at most 255 characters; those of today have under 100.
const MAX_ID_BYTES: usize = 200;
const MAX_TYPE_BYTES: usize = 100;
/// Those of ours have 22.
const MAX_PURCHASE_ID_BYTES: usize = 64;
/// More than Stripe moves at once in any currency.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: &Value) -> Value {
        json!({"id": "evt_1", "type": kind, "created": 1_772_366_400, "livemode": false, "data": {"object": object}})
    }

    fn reading(kind: &str, object: &Value) -> Reading {
        let body = event(kind, object).to_string();
        StripeEvent::parse(body.as_bytes(), false)
            .expect("a report")
            .reading
    }

    fn session() -> Value {
        json!({"id": "cs_1", "mode": "payment", "payment_status": "paid", "payment_intent": "pi_1", "amount_total": 500,
               "currency": "eur", "metadata": {"purchase_id": "p1"}, "customer_details": {"email": "ada@example.com"}})
    }

    #[test]
    fn paid_checkout_is_read_without_anything_about_its_person() {
        let body = event("checkout.session.completed", &session()).to_string();
        let read = StripeEvent::parse(body.as_bytes(), false).expect("a report");
        assert!(!format!("{read:?}").contains("ada"));
        assert_eq!(read.payment_id.as_deref(), Some("pi_1"));
        assert_eq!(read.purchase_id.as_deref(), Some("p1"));
        let facts = json!({"kind": "paid", "sessionId": "cs_1", "paymentId": "pi_1", "amountCents": 500, "currency": "EUR"});
        assert_eq!(read.reading, Reading::Facts(facts));
    }

    #[test]
    fn what_is_no_concern_of_ours_is_ignored_by_name() {
        let mut unpaid = session();
        unpaid["payment_status"] = json!("unpaid");
        let mut foreign = session();
        foreign["metadata"] = json!({});
        let mut subscription = session();
        subscription["mode"] = json!("subscription");
        for (kind, object, why) in [
            ("checkout.session.completed", unpaid, "awaiting_payment"),
            ("checkout.session.completed", foreign.clone(), "not_ours"),
            ("checkout.session.expired", foreign, "not_ours"),
            ("checkout.session.completed", subscription, "not_ours"),
            (
                "charge.refunded",
                json!({"id": "ch_1", "payment_intent": null}),
                "not_ours",
            ),
            ("invoice.paid", json!({}), "unknown_type"),
        ] {
            assert_eq!(
                reading(kind, &object),
                Reading::Ignored(why),
                "{kind} {why}"
            );
        }
        let body = event("checkout.session.completed", &session()).to_string();
        let live = StripeEvent::parse(body.as_bytes(), true).expect("a report");
        assert_eq!(live.reading, Reading::Ignored("other_mode"));
    }

    #[test]
    fn known_kind_without_what_belongs_to_it_is_unreadable() {
        for (kind, member, value) in [
            ("checkout.session.completed", "amount_total", json!("500")),
            ("checkout.session.completed", "amount_total", json!(-1)),
            ("checkout.session.completed", "amount_total", json!(5.5)),
            ("checkout.session.completed", "currency", json!("e")),
            ("checkout.session.completed", "payment_intent", json!("")),
            ("checkout.session.completed", "id", json!("a\u{0}b")),
            ("checkout.session.expired", "id", Value::Null),
            ("charge.refunded", "amount_refunded", Value::Null),
            ("refund.created", "amount", json!("1")),
            ("charge.dispute.created", "status", json!(1)),
        ] {
            let mut object = session();
            object[member] = value.clone();
            assert_eq!(
                reading(kind, &object),
                Reading::Unreadable,
                "{kind} {member} {value}"
            );
        }
    }

    #[test]
    fn states_of_refunds_and_disputes_are_read_as_what_they_mean() {
        let refund = |status: &str| json!({"id": "re_1", "payment_intent": "pi_1", "amount": 5, "status": status});
        for (kind, status, failed) in [
            ("refund.created", "pending", false),
            ("refund.updated", "succeeded", false),
            ("refund.updated", "canceled", true),
            ("charge.refund.updated", "failed", true),
            ("refund.failed", "pending", true),
        ] {
            let Reading::Facts(facts) = reading(kind, &refund(status)) else {
                panic!("{kind}");
            };
            assert_eq!(facts["failed"], failed, "{kind} {status}");
        }
        for (status, meaning) in [
            ("warning_needs_response", "inquiry"),
            ("needs_response", "open"),
            ("under_review", "open"),
            ("something_new", "open"),
            ("warning_closed", "won"),
            ("won", "won"),
            ("lost", "lost"),
        ] {
            let dispute = json!({"id": "dp_1", "payment_intent": {"id": "pi_1"}, "amount": 5, "currency": "eur", "status": status});
            let Reading::Facts(facts) = reading("charge.dispute.updated", &dispute) else {
                panic!("{status}");
            };
            assert_eq!(
                (&facts["status"], &facts["paymentId"]),
                (&json!(meaning), &json!("pi_1"))
            );
        }
    }

    #[test]
    fn what_is_no_report_is_nothing() {
        let mut deep = "[".repeat(100_000);
        deep.push_str(&"]".repeat(100_000));
        let long = event(&"x".repeat(101), &json!({})).to_string();
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "\u{0}",
            deep.as_str(),
            long.as_str(),
            r#"{"id":"","type":"a","created":1,"livemode":false,"data":{"object":{}}}"#,
            r#"{"id":"e","type":"a","created":99999999999999,"livemode":false,"data":{"object":{}}}"#,
            r#"{"id":"e","type":"a","created":"1","livemode":false,"data":{"object":{}}}"#,
        ] {
            assert_eq!(
                StripeEvent::parse(body.as_bytes(), false),
                None,
                "{}",
                body.len()
            );
        }
    }
}
