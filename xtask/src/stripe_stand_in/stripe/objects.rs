//! Sessions, payments, refunds and disputes: what can be done with them and which events follow.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::StandIn;

/// A Checkout Session.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    pub name: String,
    pub amount: i64,
    pub currency: String,
    pub success_url: String,
    pub cancel_url: String,
    pub reference: String,
    pub metadata: BTreeMap<String, String>,
    pub payment_metadata: BTreeMap<String, String>,
    pub created: i64,
    pub expires_at: i64,
    pub status: &'static str,
    pub payment_status: &'static str,
    pub payment_id: Option<String>,
    pub url: String,
}

/// A payment intent with its charge.
#[derive(Clone, Debug)]
pub struct Payment {
    pub id: String,
    pub charge_id: String,
    pub name: String,
    pub amount: i64,
    pub currency: String,
    pub created: i64,
    pub metadata: BTreeMap<String, String>,
    pub refunds: Vec<Refund>,
    pub disputes: Vec<Dispute>,
}

/// Money that goes back.
#[derive(Clone, Debug)]
pub struct Refund {
    pub id: String,
    pub amount: i64,
    pub status: &'static str,
}

/// A payment that its payer's bank questions.
#[derive(Clone, Debug)]
pub struct Dispute {
    pub id: String,
    pub amount: i64,
    pub status: &'static str,
}

impl Session {
    /// As the API shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "object": "checkout.session", "livemode": false, "mode": "payment",
            "amount_subtotal": self.amount, "amount_total": self.amount, "currency": self.currency,
            "client_reference_id": self.reference, "metadata": self.metadata,
            "payment_intent": self.payment_id, "payment_status": self.payment_status, "status": self.status,
            "success_url": self.success_url, "cancel_url": self.cancel_url,
            "customer_details": match self.payment_id {
                Some(_) => json!({"email": "buyer@example.com", "name": "A Buyer"}),
                None => Value::Null,
            },
            "created": self.created, "expires_at": self.expires_at,
            "url": match self.status { "open" => json!(self.url), _ => Value::Null },
        })
    }
}

impl Payment {
    /// What is refunded and has not failed.
    pub fn refunded(&self) -> i64 {
        let good = self
            .refunds
            .iter()
            .filter(|refund| refund.status != "failed");
        good.map(|refund| refund.amount).sum()
    }

    fn charge(&self) -> Value {
        json!({
            "id": self.charge_id, "object": "charge", "livemode": false, "amount": self.amount,
            "amount_refunded": self.refunded(), "refunded": self.refunded() == self.amount,
            "currency": self.currency, "payment_intent": self.id, "metadata": self.metadata,
            "disputed": !self.disputes.is_empty(), "paid": true, "status": "succeeded", "created": self.created,
        })
    }

    /// As the API shows it.
    pub fn refund(&self, refund: &Refund) -> Value {
        json!({
            "id": refund.id, "object": "refund", "amount": refund.amount, "currency": self.currency,
            "charge": self.charge_id, "payment_intent": self.id, "status": refund.status, "reason": null, "metadata": {},
        })
    }

    fn dispute(&self, dispute: &Dispute) -> Value {
        json!({
            "id": dispute.id, "object": "dispute", "livemode": false, "amount": dispute.amount, "currency": self.currency,
            "charge": self.charge_id, "payment_intent": self.id, "status": dispute.status, "reason": "fraudulent",
        })
    }
}

impl StandIn {
    /// The card is charged at once.
    pub fn pay(&mut self, session_id: &str, now: i64) -> bool {
        let charged = self.complete(session_id, "paid", now);
        if charged && let Some(payment) = self.payment_of(session_id) {
            let object = json!({"id": payment, "object": "payment_intent", "status": "succeeded"});
            self.outbox
                .happened("payment_intent.succeeded", &object, now);
        }
        charged
    }

    /// A bank transfer: completed now, paid or failed days later.
    pub fn pay_later(&mut self, session_id: &str, now: i64) -> bool {
        self.complete(session_id, "unpaid", now)
    }

    fn complete(&mut self, session_id: &str, payment_status: &'static str, now: i64) -> bool {
        let (payment_id, charge_id) = (self.next_id("pi_"), self.next_id("ch_"));
        let Some(session) = self.sessions.get_mut(session_id) else {
            return false;
        };
        if session.status != "open" || session.expires_at <= now {
            return false;
        }
        session.status = "complete";
        session.payment_status = payment_status;
        session.payment_id = Some(payment_id.clone());
        let payment = Payment {
            id: payment_id.clone(),
            charge_id,
            name: session.name.clone(),
            amount: session.amount,
            currency: session.currency.clone(),
            created: now,
            metadata: session.payment_metadata.clone(),
            refunds: Vec::new(),
            disputes: Vec::new(),
        };
        let object = session.to_json();
        self.payments.insert(payment_id, payment);
        self.outbox
            .happened("checkout.session.completed", &object, now);
        true
    }

    /// The bank transfer arrives, or does not.
    pub fn end_transfer(&mut self, session_id: &str, arrives: bool, now: i64) -> bool {
        let Some(session) = self.sessions.get_mut(session_id) else {
            return false;
        };
        if session.status != "complete" || session.payment_status != "unpaid" {
            return false;
        }
        if arrives {
            session.payment_status = "paid";
        }
        let (kind, object) = match arrives {
            true => (
                "checkout.session.async_payment_succeeded",
                session.to_json(),
            ),
            false => ("checkout.session.async_payment_failed", session.to_json()),
        };
        self.outbox.happened(kind, &object, now);
        true
    }

    /// Nobody can pay any more.
    pub fn expire(&mut self, session_id: &str, now: i64) -> Option<Value> {
        let session = self.sessions.get_mut(session_id)?;
        if session.status != "open" {
            return None;
        }
        session.status = "expired";
        let object = session.to_json();
        self.outbox
            .happened("checkout.session.expired", &object, now);
        Some(object)
    }

    /// Money goes back, all that is left when no amount is given; answers the refund.
    pub fn refund(&mut self, payment_id: &str, amount: Option<i64>, now: i64) -> Option<Value> {
        let id = self.next_id("re_");
        let payment = self.payments.get_mut(payment_id)?;
        let left = payment.amount - payment.refunded();
        let amount = amount.unwrap_or(left);
        if amount < 1 || amount > left {
            return None;
        }
        let refund = Refund {
            id,
            amount,
            status: "succeeded",
        };
        let object = payment.refund(&refund);
        payment.refunds.push(refund);
        let charge = payment.charge();
        self.outbox.happened("refund.created", &object, now);
        self.outbox.happened("charge.refunded", &charge, now);
        Some(object)
    }

    /// The bank sends the money of the latest refund back to us.
    pub fn fail_refund(&mut self, payment_id: &str, now: i64) -> bool {
        let Some(payment) = self.payments.get_mut(payment_id) else {
            return false;
        };
        let mut good = payment
            .refunds
            .iter_mut()
            .filter(|refund| refund.status != "failed");
        let Some(refund) = good.next_back() else {
            return false;
        };
        refund.status = "failed";
        let refund = refund.clone();
        let object = payment.refund(&refund);
        self.outbox.happened("refund.failed", &object, now);
        true
    }

    /// The payer's bank questions all of it.
    pub fn dispute(&mut self, payment_id: &str, now: i64) -> bool {
        let id = self.next_id("dp_");
        let Some(payment) = self.payments.get_mut(payment_id) else {
            return false;
        };
        let dispute = Dispute {
            id,
            amount: payment.amount,
            status: "needs_response",
        };
        let object = payment.dispute(&dispute);
        payment.disputes.push(dispute);
        self.outbox.happened("charge.dispute.created", &object, now);
        self.outbox
            .happened("charge.dispute.funds_withdrawn", &object, now);
        true
    }

    /// The bank decides about the latest dispute: the money stays, or it is gone.
    pub fn end_dispute(&mut self, payment_id: &str, won: bool, now: i64) -> bool {
        let Some(payment) = self.payments.get_mut(payment_id) else {
            return false;
        };
        let open = |dispute: &&mut Dispute| dispute.status == "needs_response";
        let Some(dispute) = payment.disputes.iter_mut().rfind(open) else {
            return false;
        };
        dispute.status = if won { "won" } else { "lost" };
        let dispute = dispute.clone();
        let object = payment.dispute(&dispute);
        self.outbox.happened("charge.dispute.closed", &object, now);
        if won {
            self.outbox
                .happened("charge.dispute.funds_reinstated", &object, now);
        }
        true
    }
}
