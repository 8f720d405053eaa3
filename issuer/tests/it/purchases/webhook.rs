use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use super::shop::{Shop, Stripe, WEBHOOK, apply, event, paid, post, sign};
use crate::admin::admin;
use crate::credits::ledger::balance;

const EVENTS: &str = "/api/v1/admin/stripe-events";

#[tokio::test]
async fn report_that_stripe_has_not_signed_lately_is_refused_and_not_stored() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, purchase) = shop.begin(&ada).await;
    let now = shop.stripe.second();
    let body = event(
        "evt_1",
        "checkout.session.completed",
        now,
        &paid(&session, &purchase, "pi_1"),
    );
    let secret = Stripe::WEBHOOK_SECRET;
    for bad in [
        String::new(),
        "t=1".into(),
        sign("whsec_guessed", now, &body),
        sign(secret, now - 301, &body),
        sign(secret, now + 301, &body),
        sign(secret, now, &format!("{body} ")),
        sign(secret, now, &body).replace("v1=", "v0="),
    ] {
        post(&shop, &body, &bad)
            .await
            .expect_problem(403, "forbidden");
    }
    shop.anon()
        .call(
            Method::POST,
            WEBHOOK,
            &[("content-type", "application/json")],
            Some(body.clone()),
        )
        .await
        .expect_problem(403, "forbidden");
    let stored: i64 = shop
        .db
        .value("select count(*) from credits.stripe_events")
        .await;
    assert_eq!(stored, 0);
    // While a secret is being replaced there are two signatures.
    let (right, wrong) = (
        sign(secret, now - 300, &body),
        sign("whsec_old", now - 300, &body),
    );
    let both = format!("{wrong},{}", right.split_once(',').expect("two parts").1);
    let answer = post(&shop, &body, &both).await.expect(200);
    assert_eq!(answer.body, json!({"received": true}));
    assert_eq!(balance(&ada).await, 0, "stored and answered, applied later");
    apply(&shop).await;
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}

#[tokio::test]
async fn body_that_is_no_report_is_refused_with_its_reason() {
    let shop = Shop::open().await;
    let now = shop.stripe.second();
    let signed = |body: &str| sign(Stripe::WEBHOOK_SECRET, now, body);
    for body in ["", "{}", "[]", "null", "{\"id\":1}", "\u{0}"] {
        post(&shop, body, &signed(body))
            .await
            .expect_problem(400, "malformed_json");
    }
    let large = "x".repeat(65_537);
    post(&shop, &large, &signed(&large))
        .await
        .expect_problem(413, "payload_too_large");
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("stripe-signature", "t=1,v1=0"),
    ];
    shop.anon()
        .call(Method::POST, WEBHOOK, &form, Some("{}".into()))
        .await
        .expect_problem(415, "unsupported_media_type");
    shop.finish().await;
}

#[tokio::test]
async fn payment_reported_again_and_by_another_event_is_credited_once() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, purchase) = shop.begin(&ada).await;
    let object = paid(&session, &purchase, "pi_1");
    for (id, kind) in [
        ("evt_1", "checkout.session.completed"),
        ("evt_1", "checkout.session.completed"),
        ("evt_2", "checkout.session.completed"),
        ("evt_3", "checkout.session.async_payment_succeeded"),
    ] {
        shop.report(id, kind, object.clone()).await.expect(200);
    }
    assert_eq!(balance(&ada).await, 500);
    let deliveries: i32 = shop
        .db
        .value("select n_deliveries from credits.stripe_events where id = 'evt_1'")
        .await;
    assert_eq!(deliveries, 2);
    assert_eq!(
        shop.event("evt_3").await,
        ("applied".into(), Some("already_paid".into()))
    );
    shop.finish().await;
}

#[tokio::test]
async fn what_is_no_concern_of_ours_is_kept_as_ignored() {
    let shop = Shop::open().await;
    let mut live: Value =
        serde_json::from_str(&event("evt_live", "charge.refunded", 1, &json!({}))).expect("JSON");
    live["livemode"] = json!(true);
    let now = shop.stripe.second();
    let body = live.to_string();
    post(&shop, &body, &sign(Stripe::WEBHOOK_SECRET, now, &body))
        .await
        .expect(200);
    shop.report("evt_type", "invoice.paid", json!({"id": "in_1"}))
        .await
        .expect(200);
    let mut foreign = paid("cs_1", "p", "pi_1");
    foreign["metadata"] = json!({});
    shop.report("evt_foreign", "checkout.session.completed", foreign)
        .await
        .expect(200);
    for (id, why) in [
        ("evt_live", "other_mode"),
        ("evt_type", "unknown_type"),
        ("evt_foreign", "not_ours"),
    ] {
        assert_eq!(shop.event(id).await, ("ignored".into(), Some(why.into())));
    }
    shop.finish().await;
}

#[tokio::test]
async fn inbox_holds_nothing_about_a_person() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.buy(&ada).await;
    let said = shop
        .stripe
        .now()
        .0
        .events()
        .any(|event| event.to_string().contains("buyer@example.com"));
    assert!(said, "Stripe has told us who paid");
    let kept: bool = shop
        .db
        .value("select exists (select from credits.stripe_events e where e::text like '%buyer%' or e::text like '%A Buyer%')")
        .await;
    assert!(!kept);
    shop.finish().await;
}

#[tokio::test]
async fn report_that_cannot_be_applied_stands_in_nobodys_way_and_is_given_up_in_the_end() {
    let shop = Shop::open().await;
    let (ada, root) = (shop.user("ada").await, admin(&shop, "root").await);
    // Whatever is wrong with it: here the account could not hold so much.
    let (session, purchase) = shop.begin(&ada).await;
    let full = sqlx::query(
        "alter table credits.entries add constraint entries_full check (kind <> 'purchase') not valid",
    );
    shop.run(full).await;
    shop.report(
        "evt_bad",
        "checkout.session.completed",
        paid(&session, &purchase, "pi_1"),
    )
    .await
    .expect(200);
    assert_eq!(shop.event("evt_bad").await, ("waiting".into(), None));
    assert_eq!(
        shop.purchase(&ada).await["status"],
        "pending",
        "all of it or nothing"
    );
    // Another one goes through.
    shop.report(
        "evt_good",
        "charge.refunded",
        json!({"id": "ch_1", "payment_intent": "pi_2", "amount_refunded": 5}),
    )
    .await
    .expect(200);
    assert_eq!(shop.event("evt_good").await.0, "applied");
    // Not before its time, then later and later.
    shop.pass(Duration::seconds(4)).await;
    apply(&shop).await;
    let attempts = "select attempts from credits.stripe_events where id = 'evt_bad'";
    assert_eq!(shop.db.value::<i32>(attempts).await, 1);
    shop.pass(Duration::seconds(1)).await;
    apply(&shop).await;
    assert_eq!(shop.db.value::<i32>(attempts).await, 2);
    for _ in 0..20 {
        shop.pass(Duration::hours(1)).await;
        apply(&shop).await;
    }
    assert_eq!(
        shop.event("evt_bad").await,
        ("dead".into(), Some("gave_up".into()))
    );
    let root = root.login(&root.email, json!({})).await;
    let dead = root
        .get(&format!("{EVENTS}?state=dead"))
        .await
        .expect(200)
        .body;
    assert_eq!(dead[0]["id"], "evt_bad");
    assert_eq!(dead[0]["attempts"], 20);
    assert_eq!(dead[0]["lastErrorCode"], "entries_full");
    // Mended and replayed.
    shop.run(sqlx::query(
        "alter table credits.entries drop constraint entries_full",
    ))
    .await;
    root.post_empty(&format!("{EVENTS}/evt_bad/replay"))
        .await
        .expect(204);
    apply(&shop).await;
    assert_eq!(
        shop.event("evt_bad").await,
        ("applied".into(), Some("granted".into()))
    );
    let ada = ada.login(&ada.email, json!({})).await;
    assert_eq!(balance(&ada).await, 500);
    root.post_empty(&format!("{EVENTS}/evt_bad/replay"))
        .await
        .expect_problem(409, "conflict");
    root.post_empty(&format!("{EVENTS}/evt_none/replay"))
        .await
        .expect_problem(404, "not_found");
    ada.get(EVENTS).await.expect_problem(403, "forbidden");
    shop.finish().await;
}

#[tokio::test]
async fn report_without_what_belongs_to_it_waits_for_an_operator() {
    let shop = Shop::open().await;
    let mut broken = paid("cs_1", "p", "pi_1");
    broken["amount_total"] = json!("a lot");
    shop.report("evt_1", "checkout.session.completed", broken)
        .await
        .expect(200);
    assert_eq!(
        shop.event("evt_1").await,
        ("dead".into(), Some("unreadable".into()))
    );
    let root = admin(&shop, "root").await;
    root.post_empty(&format!("{EVENTS}/evt_1/replay"))
        .await
        .expect_problem(409, "conflict");
    root.post_empty(&format!("{EVENTS}/evt_1/dismiss"))
        .await
        .expect(204);
    assert_eq!(
        shop.event("evt_1").await,
        ("ignored".into(), Some("dismissed".into()))
    );
    root.post_empty(&format!("{EVENTS}/evt_1/dismiss"))
        .await
        .expect_problem(409, "conflict");
    root.post_empty(&format!("{EVENTS}/evt_none/dismiss"))
        .await
        .expect_problem(404, "not_found");
    shop.finish().await;
}

#[tokio::test]
async fn two_issuers_apply_each_report_once() {
    let shop = Shop::open().await;
    let second = shop.second(&shop.stripe.variables()).await;
    let ada = shop.user("ada").await;
    let mut bodies = Vec::new();
    let now = shop.stripe.second();
    for n in 0..8 {
        let (session, purchase) = shop.begin(&ada).await;
        let object = paid(&session, &purchase, &format!("pi_{n}"));
        let kinds = [
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
        ];
        bodies.extend(
            kinds
                .iter()
                .enumerate()
                .map(|(i, kind)| event(&format!("evt_{n}_{i}"), kind, now, &object)),
        );
    }
    for body in &bodies {
        post(&shop, body, &sign(Stripe::WEBHOOK_SECRET, now, body))
            .await
            .expect(200);
    }
    tokio::join!(apply(&shop), apply(&second));
    // What met on one payment is tried again after its pause.
    shop.pass(Duration::minutes(1)).await;
    apply(&shop).await;
    assert_eq!(balance(&ada).await, 8 * 500);
    shop.finish().await;
}

#[tokio::test]
async fn reports_are_forgotten_after_90_days_unless_somebody_must_look_at_them() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.buy(&ada).await;
    shop.report(
        "evt_refused",
        "checkout.session.completed",
        paid("cs_1", "nobody's", "pi_9"),
    )
    .await
    .expect(200);
    issuer::purchases::sweep(&shop.app).await.expect("swept");
    let count = "select count(*) from credits.stripe_events";
    assert_eq!(shop.db.value::<i64>(count).await, 3);
    shop.pass(Duration::days(90) + Duration::seconds(1)).await;
    issuer::purchases::sweep(&shop.app).await.expect("swept");
    assert_eq!(shop.db.value::<i64>(count).await, 1);
    assert_eq!(shop.event("evt_refused").await.0, "refused");
    // One that comes again after all that time adds nothing.
    let body = shop
        .stripe
        .now()
        .0
        .events()
        .next()
        .expect("one")
        .to_string();
    let now = shop.stripe.second();
    post(&shop, &body, &sign(Stripe::WEBHOOK_SECRET, now, &body))
        .await
        .expect(200);
    apply(&shop).await;
    let ada = ada.login(&ada.email, json!({})).await;
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}
