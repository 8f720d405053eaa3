//! `cargo xtask stripe-stand-in`: a stand-in for Stripe on this machine, so that buying can be
//! tried without an account. `cargo xtask dev` runs it beside the issuer.

pub mod stripe;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ureq::Agent;

use stripe::{Delivery, Options, StandIn};

/// The key that the issuer calls it with. Not a secret: nothing is behind it.
pub const SECRET_KEY: &str = "sk_test_stand_in";
/// What its events are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_stand_in";
/// Where it is in a development system.
pub const ADDRESS: &str = "http://127.0.0.1:12111";

/// Serves at `address` (host and port) and reports to `webhook`, until the process ends.
pub fn run(address: &str, webhook: &str) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let stripe = Arc::new(Mutex::new(StandIn::new(Options {
        secret_key: SECRET_KEY.into(),
        webhook_secret: WEBHOOK_SECRET.into(),
        base_url: base_url.clone(),
        run: format!("{:x}_", now()),
        speed: SPEED,
    })));
    stripe::serve(listener, Arc::clone(&stripe), now);
    println!("{base_url}");
    report_for_ever(&stripe, webhook)
}

fn report_for_ever(stripe: &Mutex<StandIn>, webhook: &str) -> Result<()> {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_WITHIN))
        .max_redirects(0)
        .proxy(None)
        .build()
        .new_agent();
    let lock = || stripe.lock().expect("no holder of this lock panics");
    loop {
        // Nobody waits for the issuer with the lock in hand.
        let due = lock().due(now());
        for delivery in due {
            let status = deliver(&agent, webhook, &delivery);
            lock().delivered(&delivery.event_id, status, now());
        }
        thread::sleep(POLL);
    }
}

/// The status that was answered; 0 without an answer.
fn deliver(agent: &Agent, webhook: &str, delivery: &Delivery) -> u16 {
    let sent = agent
        .post(webhook)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", &delivery.signature)
        .send(&delivery.body);
    sent.map_or(0, |answer| answer.status().as_u16())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// Three days become a quarter of an hour.
const SPEED: i64 = 300;
/// As long as Stripe waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
