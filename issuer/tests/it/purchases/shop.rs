//! An issuer with something to sell, and a Stripe of its own.

use std::net::TcpListener;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hmac::{Hmac, KeyInit, Mac};
use issuer::purchases;
use poem::http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use time::Duration;

use super::stripe::{self, Options, StandIn};
use crate::credits::Ledger;
use crate::support::db::TestDb;
use crate::support::{Actor, Answer, TestApp};

pub const CHECKOUT: &str = "/api/v1/credits/checkout";
pub const PURCHASES: &str = "/api/v1/credits/purchases";
pub const WEBHOOK: &str = "/api/v1/webhooks/stripe";
const SECRET_KEY: &str = "sk_test_of_the_test";
const WEBHOOK_SECRET: &str = "whsec_of_the_test";

/// A Stripe on a port of its own, whose clock the test moves.
pub struct Stripe {
    stand_in: Arc<Mutex<StandIn>>,
    clock: Arc<AtomicI64>,
    base_url: String,
}

impl Stripe {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        let stand_in = Arc::new(Mutex::new(StandIn::new(Options {
            secret_key: SECRET_KEY.into(),
            webhook_secret: WEBHOOK_SECRET.into(),
            base_url: base_url.clone(),
            run: "t".into(),
            speed: 1,
        })));
        let clock = Arc::new(AtomicI64::new(TestDb::START.unix_timestamp()));
        let time = Arc::clone(&clock);
        stripe::serve(listener, Arc::clone(&stand_in), move || {
            time.load(Ordering::SeqCst)
        });
        Self {
            stand_in,
            clock,
            base_url,
        }
    }

    /// The variables of an issuer that is connected to it.
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("STRIPE_SECRET_KEY", SECRET_KEY),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("STRIPE_API_BASE", &self.base_url),
            ("CORS_ORIGINS", "https://app.example.com"),
        ]
    }

    /// The stand-in itself, for as long as the statement lasts.
    pub fn now(&self) -> (MutexGuard<'_, StandIn>, i64) {
        (self.stand_in.lock().expect("lock"), self.second())
    }

    /// What its clock says.
    pub fn second(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Posts what is due to the issuer, tells Stripe the answers, and has everything applied.
    pub async fn deliver(&self, app: &TestApp) {
        let due = {
            let (mut stripe, now) = self.now();
            stripe.due(now)
        };
        for delivery in due {
            let answer = post(app, &delivery.body, &delivery.signature).await;
            let (mut stripe, now) = self.now();
            stripe.delivered(&delivery.event_id, answer.status, now);
        }
        apply(app).await;
    }
}

/// Has everything applied that has come in.
pub async fn apply(app: &TestApp) {
    while purchases::apply_due(&app.app)
        .await
        .expect("the inbox answers")
        > 0
    {}
}

/// A report as it comes in.
pub async fn post(app: &TestApp, body: &str, signature: &str) -> Answer {
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("stripe-signature", signature),
    ];
    app.anon()
        .call(Method::POST, WEBHOOK, &headers, Some(body.to_owned()))
        .await
}

/// A signature of this second.
pub fn sign(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("{at}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={}", hex.concat())
}

/// An issuer that sells a package of 500 credits for 5 euros.
pub struct Shop {
    ledger: Ledger,
    /// Its Stripe.
    pub stripe: Stripe,
}

impl Deref for Shop {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl Shop {
    /// Without bonus and daily credits, so that only purchases count.
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// With variables of its own.
    pub async fn open_with(variables: &[(&str, &str)]) -> Self {
        let stripe = Stripe::start();
        let all: Vec<(&str, &str)> = variables
            .iter()
            .copied()
            .chain([("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")])
            .chain(stripe.variables())
            .collect();
        let ledger = Ledger::start_with(&all).await;
        offer(&ledger).await;
        Self { ledger, stripe }
    }

    /// Demands that everything follows from the entries.
    pub async fn finish(self) {
        self.ledger.finish().await;
    }

    /// For a test that damaged the books on purpose and has looked at the damage.
    pub fn finish_damaged(self) {
        self.ledger.finish_damaged();
    }

    /// Moves the clocks of issuer, database and Stripe together.
    pub async fn pass(&self, by: Duration) {
        self.stripe
            .clock
            .fetch_add(by.whole_seconds(), Ordering::SeqCst);
        self.ledger.advance(by).await;
    }

    /// Begins a purchase that must succeed; gives the session and the purchase.
    pub async fn begin(&self, user: &Actor<'_>) -> (String, String) {
        let answer = user.post(CHECKOUT, order()).await.expect(200);
        let url = answer.string("url");
        let session = url.rsplit('/').next().expect("a path").to_owned();
        (session, answer.string("purchaseId"))
    }

    /// Buys and pays; gives the payment and the purchase.
    pub async fn buy(&self, user: &Actor<'_>) -> (String, String) {
        let (session, purchase) = self.begin(user).await;
        let payment = {
            let (mut stripe, now) = self.stripe.now();
            assert!(stripe.pay(&session, now), "the checkout is open");
            stripe.payment_of(&session).expect("paid")
        };
        self.deliver().await;
        (payment, purchase)
    }

    /// Everything that Stripe has to report arrives and is applied.
    pub async fn deliver(&self) {
        self.stripe.deliver(&self.ledger).await;
    }

    /// Money goes back and is reported.
    pub async fn refund(&self, payment: &str, cents: i64) {
        {
            let (mut stripe, now) = self.stripe.now();
            assert!(stripe.refund(payment, Some(cents), now).is_some());
        }
        self.deliver().await;
    }

    /// The bank questions a payment.
    pub async fn dispute(&self, payment: &str) {
        {
            let (mut stripe, now) = self.stripe.now();
            assert!(stripe.dispute(payment, now));
        }
        self.deliver().await;
    }

    /// The bank decides.
    pub async fn end_dispute(&self, payment: &str, won: bool) {
        {
            let (mut stripe, now) = self.stripe.now();
            assert!(stripe.end_dispute(payment, won, now));
        }
        self.deliver().await;
    }

    /// A report of the test's own making, rightly signed, applied.
    pub async fn report(&self, id: &str, kind: &str, object: Value) -> Answer {
        let now = self.stripe.second();
        let body = event(id, kind, now, &object);
        let answer = post(&self.ledger, &body, &sign(WEBHOOK_SECRET, now, &body)).await;
        apply(&self.ledger).await;
        answer
    }

    /// The newest purchase of somebody, as they see it.
    pub async fn purchase(&self, user: &Actor<'_>) -> Value {
        user.get(PURCHASES).await.expect(200).body[0].clone()
    }

    /// What somebody owes.
    pub async fn debt(&self, user: &Actor<'_>) -> i64 {
        self.of(
            user,
            "select coalesce((select e.debt_after from credits.entries e
               join credits.accounts a on a.id = e.account_id
              where a.user_id = $1 order by e.seq desc limit 1), 0)",
        )
        .await
    }

    /// How many freezes are in force.
    pub async fn n_freezes(&self, user: &Actor<'_>) -> i64 {
        self.of(
            user,
            "select n_freezes::bigint from credits.accounts where user_id = $1",
        )
        .await
    }

    /// State and outcome of a report.
    pub async fn event(&self, id: &str) -> (String, Option<String>) {
        sqlx::query_as("select state, outcome from credits.stripe_events where id = $1")
            .bind(id)
            .fetch_one(&self.db.owner)
            .await
            .expect("it is stored")
    }

    async fn of(&self, user: &Actor<'_>, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .bind(&user.id)
            .fetch_one(&self.db.owner)
            .await
            .expect(sql)
    }
}

/// A package of 500 credits for 5 euros.
pub async fn offer(app: &TestApp) {
    sqlx::query(
        "insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
         values ('small', 'Small', 500, 500, 'EUR', auth.clock(), auth.clock())",
    )
    .execute(&app.db.owner)
    .await
    .expect("offered");
}

/// What a client sends.
pub fn order() -> Value {
    json!({
        "packageId": "small",
        "successUrl": "https://app.example.com/done?session={CHECKOUT_SESSION_ID}",
        "cancelUrl": "https://app.example.com/shop",
    })
}

/// A report as Stripe words it.
pub fn event(id: &str, kind: &str, at: i64, object: &Value) -> String {
    json!({"id": id, "object": "event", "type": kind, "created": at, "livemode": false, "data": {"object": object}})
        .to_string()
}

/// A paid checkout as Stripe words it.
pub fn paid(session: &str, purchase: &str, payment: &str) -> Value {
    json!({
        "id": session, "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "payment_intent": payment, "amount_total": 500, "currency": "eur", "metadata": {"purchase_id": purchase},
    })
}

impl Stripe {
    /// The secret that reports are signed with.
    pub const WEBHOOK_SECRET: &'static str = WEBHOOK_SECRET;
}
