//! Events: made, signed, delivered, and delivered again until somebody answers 2xx.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Options;

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event.
    pub event_id: String,
    /// What is posted.
    pub body: String,
    /// The header `Stripe-Signature`.
    pub signature: String,
}

/// All events, and which are still to be delivered.
#[derive(Debug)]
pub struct Outbox {
    webhook_secret: String,
    run: String,
    speed: i64,
    duplicates: bool,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    value: Value,
    n_attempts: usize,
    due_at: Option<i64>,
    last_status: Option<u16>,
}

impl Outbox {
    /// An empty one.
    pub fn new(options: &Options) -> Self {
        Self {
            webhook_secret: options.webhook_secret.clone(),
            run: options.run.clone(),
            speed: options.speed.max(1),
            duplicates: false,
            events: Vec::new(),
        }
    }

    /// From now on each event is delivered twice, or once again.
    pub fn set_duplicates(&mut self, duplicates: bool) {
        self.duplicates = duplicates;
    }

    /// Whether each event is delivered twice.
    pub fn duplicates(&self) -> bool {
        self.duplicates
    }

    /// Something happened to an object.
    pub fn happened(&mut self, kind: &str, object: &Value, now: i64) {
        let id = format!("evt_{}{:06}", self.run, self.events.len() + 1);
        let value = json!({
            "id": id, "object": "event", "api_version": "2025-03-31.basil", "created": now,
            "livemode": false, "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null},
            "type": kind, "data": {"object": object},
        });
        self.events.push(Event {
            value,
            n_attempts: 0,
            due_at: Some(now),
            last_status: None,
        });
    }

    /// What is due.
    pub fn due(&mut self, now: i64) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for index in 0..self.events.len() {
            let event = &mut self.events[index];
            if event.due_at.is_none_or(|due_at| due_at > now) {
                continue;
            }
            event.due_at = None;
            event.n_attempts += 1;
            let body = event.value.to_string();
            let delivery = Delivery {
                event_id: text(&event.value, "id"),
                signature: self.sign(&body, now),
                body,
            };
            if self.duplicates {
                deliveries.push(delivery.clone());
            }
            deliveries.push(delivery);
        }
        deliveries
    }

    /// What came of a delivery.
    pub fn delivered(&mut self, event_id: &str, status: u16, now: i64) {
        let speed = self.speed;
        if let Some(event) = self.find(event_id) {
            event.last_status = Some(status);
            let pause = RETRY_AFTER_SECS.get(event.n_attempts.saturating_sub(1));
            event.due_at = match (200..300).contains(&status) {
                true => None,
                false => pause.map(|secs| now + (secs / speed).max(1)),
            };
        }
    }

    /// Due at once, whatever came of it.
    pub fn resend(&mut self, event_id: &str, now: i64) {
        if let Some(event) = self.find(event_id) {
            event.due_at = Some(now);
        }
    }

    /// All of them, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Value> {
        self.events.iter().map(|event| &event.value)
    }

    /// For the page: id, type, attempts, last status.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = (String, String, usize, Option<u16>)> {
        self.events.iter().map(|event| {
            let (id, kind) = (text(&event.value, "id"), text(&event.value, "type"));
            (id, kind, event.n_attempts, event.last_status)
        })
    }

    /// Stripe's scheme `v1`.
    fn sign(&self, body: &str, now: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.webhook_secret.as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(format!("{now}.{body}").as_bytes());
        let mut header = format!("t={now},v1=");
        for byte in mac.finalize().into_bytes() {
            write!(header, "{byte:02x}").expect("a string grows");
        }
        header
    }

    fn find(&mut self, event_id: &str) -> Option<&mut Event> {
        self.events
            .iter_mut()
            .find(|event| event.value["id"] == event_id)
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// Between attempts, growing, about three days in all.
const RETRY_AFTER_SECS: [i64; 9] = [
    300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(speed: i64) -> Outbox {
        let options = Options {
            secret_key: "sk_test_1".into(),
            webhook_secret: "whsec_1".into(),
            base_url: "http://127.0.0.1:1".into(),
            run: "r".into(),
            speed,
        };
        let mut outbox = Outbox::new(&options);
        outbox.happened("charge.refunded", &json!({}), 100);
        outbox
    }

    #[test]
    fn event_is_tried_for_about_three_days_and_not_after_an_answer() {
        let (mut tried, mut now) = (outbox(1), 100);
        let mut attempts = 0;
        while let Some(delivery) = tried.due(now).pop() {
            attempts += 1;
            tried.delivered(&delivery.event_id, 500, now);
            let Some(due_at) = tried.events[0].due_at else {
                break;
            };
            assert!(tried.due(due_at - 1).is_empty(), "not before its time");
            now = due_at;
        }
        assert_eq!(attempts, RETRY_AFTER_SECS.len() + 1);
        assert!((60 * 3600..72 * 3600).contains(&(now - 100)), "{now}");
        let mut answered = outbox(1);
        let delivery = answered.due(100).pop().unwrap();
        answered.delivered(&delivery.event_id, 200, 100);
        assert!(answered.due(i64::MAX).is_empty());
        answered.resend(&delivery.event_id, 500);
        assert_eq!(answered.due(500).len(), 1);
    }

    #[test]
    fn speed_shortens_the_pauses_and_duplicates_double_the_deliveries() {
        let mut outbox = outbox(300);
        outbox.set_duplicates(true);
        let deliveries = outbox.due(100);
        assert_eq!(deliveries.len(), 2);
        assert_eq!(deliveries[0].body, deliveries[1].body);
        outbox.delivered(&deliveries[0].event_id, 500, 100);
        assert!(outbox.due(100).is_empty());
        assert_eq!(outbox.due(101).len(), 2);
    }
}
