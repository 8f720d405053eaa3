//! Purchases while the issuer is killed, around its calls to Stripe and Stripe's reports to it:
//! what was acknowledged stays, and each payment is credited once.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stripe::{self, Delivery, Options, StandIn};
use crate::support::{Issuer, data_dir, run, stderr};

const N_ROUNDS: u64 = 10;
const N_BUYERS: usize = 4;
/// Of the package `small` that is on offer in development.
const CREDITS: usize = 500;
const SECRET_KEY: &str = "sk_test_of_the_test";
const WEBHOOK_SECRET: &str = "whsec_of_the_test";

/// Stripe, which is not killed.
struct Stripe {
    stand_in: Arc<Mutex<StandIn>>,
    url: String,
}

impl Stripe {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let stand_in = Arc::new(Mutex::new(StandIn::new(Options {
            secret_key: SECRET_KEY.into(),
            webhook_secret: WEBHOOK_SECRET.into(),
            base_url: url.clone(),
            run: "k".into(),
            speed: 1,
        })));
        stripe::serve(listener, Arc::clone(&stand_in), now);
        Self { stand_in, url }
    }

    fn lock(&self) -> MutexGuard<'_, StandIn> {
        self.stand_in.lock().expect("no holder of this lock panics")
    }

    fn due(&self) -> Vec<Delivery> {
        self.lock().due(now())
    }

    /// Reports what there is to report, once; whether the issuer took everything.
    async fn report(&self, issuer: &Issuer) -> bool {
        let mut all_taken = true;
        for delivery in self.due() {
            let sent = issuer
                .http
                .post(format!("{}/api/v1/webhooks/stripe", issuer.url))
                .header("content-type", "application/json; charset=utf-8")
                .header("stripe-signature", &delivery.signature)
                .body(delivery.body)
                .send()
                .await;
            let status = sent.map_or(0, |answer| answer.status().as_u16());
            self.lock().delivered(&delivery.event_id, status, now());
            all_taken &= status == 200;
        }
        all_taken
    }

    async fn report_until(&self, issuer: &Issuer, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.report(issuer).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reports everything once more, what was taken before, too.
    async fn report_all_again(&self, issuer: &Issuer) {
        let events: Vec<String> = self
            .lock()
            .events()
            .filter_map(|event| event["id"].as_str().map(str::to_owned))
            .collect();
        for event in &events {
            self.lock().resend(event, now());
        }
        assert!(self.report(issuer).await, "the issuer is well");
    }
}

/// Somebody who buys one package after the other, each with a key of its own, and pays whatever
/// page is shown to them.
struct Buyer {
    name: String,
    token: String,
    /// Each key with the purchase that was acknowledged; `None` when no answer came.
    keys: BTreeMap<String, Option<String>>,
}

/// What became of a wish to buy.
enum Bought {
    /// The purchase.
    Answered(String),
    /// Nobody can tell.
    Unanswered,
    /// Nothing: ten pages are open whose payment was not reported yet.
    TooMany,
}

impl Buyer {
    async fn new(issuer: &Issuer, name: String) -> Self {
        Self {
            token: issuer.user(&name).await,
            name,
            keys: BTreeMap::new(),
        }
    }

    /// Begins a purchase and pays.
    async fn buy(&self, issuer: &Issuer, stripe: &Stripe, key: &str) -> Bought {
        let order = json!({
            "packageId": "small",
            "successUrl": "https://app.example.com/done",
            "cancelUrl": "https://app.example.com/shop",
        });
        let sent = issuer
            .http
            .post(format!("{}/api/v1/credits/checkout", issuer.url))
            .bearer_auth(&self.token)
            .header("idempotency-key", key)
            .json(&order)
            .send()
            .await;
        let Ok(answer) = sent else {
            return Bought::Unanswered;
        };
        let status = answer.status().as_u16();
        let Ok(answer) = answer.json::<Value>().await else {
            return Bought::Unanswered;
        };
        match status {
            200 => {
                let url = answer["url"].as_str().expect("a URL");
                let session = url.rsplit('/').next().expect("a path");
                // Not when this key's page was paid before.
                stripe.lock().pay(session, now());
                Bought::Answered(answer["purchaseId"].as_str().expect("an id").to_owned())
            }
            429 => Bought::TooMany,
            503 => Bought::Unanswered,
            _ => panic!("{status} {answer}"),
        }
    }

    async fn shop(&mut self, issuer: &Issuer, stripe: &Stripe, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let key = format!("{}-{}", self.name, self.keys.len());
            match self.buy(issuer, stripe, &key).await {
                Bought::Answered(purchase) => drop(self.keys.insert(key, Some(purchase))),
                Bought::Unanswered => drop(self.keys.insert(key, None)),
                Bought::TooMany => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Asks again for everything: what was acknowledged is the same purchase still.
    async fn ask_again(&mut self, issuer: &Issuer, stripe: &Stripe) {
        self.token = issuer.login(&self.name).await;
        for key in self.keys.keys().cloned().collect::<Vec<_>>() {
            let found = self.insist(issuer, stripe, &key).await;
            if let Some(acknowledged) = &self.keys[&key] {
                assert_eq!(&found, acknowledged, "{key}");
            }
            self.keys.insert(key, Some(found));
        }
    }

    async fn insist(&self, issuer: &Issuer, stripe: &Stripe, key: &str) -> String {
        for _ in 0..MAX_LOOKS {
            match self.buy(issuer, stripe, key).await {
                Bought::Answered(purchase) => return purchase,
                Bought::Unanswered => panic!("the issuer is well"),
                Bought::TooMany => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("payments are not taken note of");
    }

    /// Waits for the credits of all purchases; more of them than were paid never come.
    async fn is_credited(&self, issuer: &Issuer) {
        let expected = self.keys.len() * CREDITS;
        for _ in 0..MAX_LOOKS {
            let answer = issuer
                .http
                .get(format!("{}/api/v1/credits/balance", issuer.url))
                .bearer_auth(&self.token)
                .send()
                .await
                .expect("an answer");
            let body: Value = answer.json().await.expect("JSON");
            if body["balance"] == json!(expected) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{} has not got the credits of all purchases", self.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_issuer_around_calls_to_stripe_loses_no_purchase_and_credits_none_twice() {
    let dir = data_dir("purchases_issuer");
    let stripe = Stripe::start();
    let variables = [
        ("TOLLGATE_DATA_DIR", dir.to_str().expect("UTF-8")),
        ("CREDITS_SIGNUP_BONUS", "0"),
        ("CREDITS_DAILY_FREE", "0"),
        ("CREDITS_PER_EUR", "100"),
        ("CORS_ORIGINS", "https://app.example.com"),
        ("STRIPE_SECRET_KEY", SECRET_KEY),
        ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ("STRIPE_API_BASE", &stripe.url),
    ];
    let mut issuer = Issuer::start(&["--dev"], &variables).await;
    let names = (0..N_BUYERS).map(|i| format!("buyer{i}"));
    let mut buyers = join_all(names.map(|name| Buyer::new(&issuer, name))).await;
    let mut n_unanswered = 0;
    for round in 0..N_ROUNDS {
        let stop = AtomicBool::new(false);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(120 + round * 17)).await;
            issuer.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        };
        let shopping = buyers
            .iter_mut()
            .map(|buyer| buyer.shop(&issuer, &stripe, &stop));
        tokio::join!(
            join_all(shopping),
            stripe.report_until(&issuer, &stop),
            killing
        );
        issuer.wait();
        n_unanswered += buyers
            .iter()
            .flat_map(|buyer| buyer.keys.values())
            .filter(|answer| answer.is_none())
            .count();
        issuer = Issuer::start(&["--dev"], &variables).await;
        let stop = AtomicBool::new(false);
        let asking = async {
            join_all(buyers.iter_mut().map(|b| b.ask_again(&issuer, &stripe))).await;
            stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(asking, stripe.report_until(&issuer, &stop));
        stripe.report_all_again(&issuer).await;
    }
    join_all(buyers.iter().map(|buyer| buyer.is_credited(&issuer))).await;
    let n_keys: usize = buyers.iter().map(|buyer| buyer.keys.len()).sum();
    assert_eq!(stripe.lock().session_ids().len(), n_keys, "one page a key");
    assert!(n_unanswered > 0, "no kill came between question and answer");
    let output = run(&["credits", "reconcile", "--json"], &variables);
    assert!(output.status.success(), "{}", stderr(&output));
    println!(
        "figure: {N_ROUNDS} kills of the issuer around calls to Stripe, {n_keys} purchases, \
         {n_unanswered} without an answer, 0 lost, 0 credited twice"
    );
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("fits")
}

const PAUSE: Duration = Duration::from_millis(10);
/// Twenty seconds.
const MAX_LOOKS: u32 = 2000;
