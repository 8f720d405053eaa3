use serde_json::json;
use time::Duration;

use super::shop::{CHECKOUT, PURCHASES, Shop, order};
use super::stripe::Fault;
use crate::admin::admin;
use crate::credits::ledger::{TRANSACTIONS, balance};
use crate::support::TestApp;

#[tokio::test]
async fn paid_checkout_adds_its_credits_once_and_says_so() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, purchase) = shop.begin(&ada).await;
    let pending = shop.purchase(&ada).await;
    assert_eq!(
        (&pending["id"], &pending["status"]),
        (&json!(purchase), &json!("pending"))
    );
    assert_eq!(balance(&ada).await, 0);
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.pay(&session, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);
    let paid = shop.purchase(&ada).await;
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["paidAt"], "2026-03-01T12:00:00Z");
    let transactions = ada.get(TRANSACTIONS).await.expect(200).body;
    assert_eq!(transactions[0]["type"], "purchase");
    assert_eq!(transactions[0]["amount"], 500);
    shop.finish().await;
}

#[tokio::test]
async fn purchase_is_written_down_before_stripe_is_asked_and_stripe_is_told_our_price() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, purchase) = shop.begin(&ada).await;
    // A package that becomes dearer afterwards does not change what was begun.
    shop.run(sqlx::query(
        "update credits.packages set price_cents = 900, credits = 1",
    ))
    .await;
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.pay(&session, now));
        let completed = &stripe.events().next().expect("one")["data"]["object"];
        assert_eq!(completed["amount_total"], 500);
        assert_eq!(completed["currency"], "eur");
        assert_eq!(completed["metadata"], json!({"purchase_id": purchase}));
        assert_eq!(completed["client_reference_id"], json!(purchase));
        assert_eq!(completed["expires_at"], now + 3_600);
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}

#[tokio::test]
async fn bank_transfer_adds_nothing_until_it_has_arrived() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (arrives, _) = shop.begin(&ada).await;
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.pay_later(&arrives, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 0);
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.end_transfer(&arrives, true, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);

    let (fails, _) = shop.begin(&ada).await;
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.pay_later(&fails, now) && stripe.end_transfer(&fails, false, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);
    let failed = ada.get(PURCHASES).await.expect(200).body;
    let statuses = failed.as_array().expect("a list").iter();
    let mut statuses: Vec<_> = statuses.map(|p| p["status"].clone()).collect();
    statuses.sort_by_key(ToString::to_string);
    assert_eq!(statuses, ["failed", "paid"]);
    shop.finish().await;
}

#[tokio::test]
async fn checkout_that_ran_out_is_expired_and_cannot_be_paid() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, _) = shop.begin(&ada).await;
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.expire(&session, now).is_some());
        assert!(!stripe.pay(&session, now));
    }
    shop.deliver().await;
    assert_eq!(shop.purchase(&ada).await["status"], "expired");
    shop.finish().await;
}

#[tokio::test]
async fn same_key_finds_the_same_checkout_and_another_body_is_refused() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.user("ada").await, shop.user("bob").await);
    let mut body = order();
    body["idempotencyKey"] = json!("k");
    let first = ada.post(CHECKOUT, body.clone()).await.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    let again = ada.post(CHECKOUT, body.clone()).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    let elsewhere = bob.post(CHECKOUT, body.clone()).await.expect(200);
    assert_ne!(elsewhere.body["purchaseId"], first.body["purchaseId"]);
    body["cancelUrl"] = json!("https://app.example.com/elsewhere");
    ada.post(CHECKOUT, body)
        .await
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(shop.stripe.now().0.session_ids().len(), 2);
    shop.finish().await;
}

#[tokio::test]
async fn key_of_a_checkout_that_ran_out_opens_no_other() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let mut body = order();
    body["idempotencyKey"] = json!("k");
    shop.stripe.now().0.fail_next(&[Fault::Unavailable; 3]);
    ada.post(CHECKOUT, body.clone())
        .await
        .expect_problem(503, "unavailable");
    shop.pass(Duration::hours(1)).await;
    let ada = ada.login(&ada.email, json!({})).await;
    ada.post(CHECKOUT, body)
        .await
        .expect_problem(409, "conflict");
    assert!(shop.stripe.now().0.session_ids().is_empty());
    shop.finish().await;
}

#[tokio::test]
async fn where_people_were_sent_back_to_is_forgotten_after_a_day() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let mut body = order();
    body["idempotencyKey"] = json!("k");
    ada.post(CHECKOUT, body.clone()).await.expect(200);
    let kept = "select count(*) from credits.purchases where success_url is not null or cancel_url is not null or checkout_url is not null";
    shop.pass(Duration::days(1)).await;
    issuer::purchases::sweep(&shop.app).await.expect("swept");
    assert_eq!(shop.db.value::<i64>(kept).await, 1);
    shop.pass(Duration::seconds(1)).await;
    issuer::purchases::sweep(&shop.app).await.expect("swept");
    assert_eq!(shop.db.value::<i64>(kept).await, 0);
    let ada = ada.login(&ada.email, json!({})).await;
    ada.post(CHECKOUT, body)
        .await
        .expect_problem(409, "conflict");
    shop.finish().await;
}

#[tokio::test]
async fn what_may_pass_at_stripe_is_tried_again_and_opens_one_checkout() {
    for faults in [
        [Fault::RateLimited, Fault::Unavailable],
        [Fault::KeyInUse, Fault::Lost],
        [Fault::Lost, Fault::Lost],
    ] {
        let shop = Shop::open().await;
        let ada = shop.user("ada").await;
        shop.stripe.now().0.fail_next(&faults);
        let (session, _) = shop.begin(&ada).await;
        {
            let (stripe, _) = shop.stripe.now();
            assert_eq!(stripe.session_ids(), [session], "{faults:?}");
            assert_eq!(stripe.n_requests(), 3);
        }
        shop.finish().await;
    }
}

#[tokio::test]
async fn answer_that_never_came_is_found_again_by_the_same_key() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let mut body = order();
    body["idempotencyKey"] = json!("k");
    // The work was done each time and nobody heard of it: as if we had died in between.
    shop.stripe.now().0.fail_next(&[Fault::Lost; 3]);
    ada.post(CHECKOUT, body.clone())
        .await
        .expect_problem(503, "unavailable");
    assert_eq!(shop.purchase(&ada).await["status"], "pending");
    let opened = shop.stripe.now().0.session_ids();
    assert_eq!(opened.len(), 1);
    let found = ada.post(CHECKOUT, body).await.expect(200);
    assert!(found.string("url").ends_with(&opened[0]));
    assert_eq!(shop.stripe.now().0.session_ids(), opened);
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.pay(&opened[0], now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}

#[tokio::test]
async fn payment_of_a_checkout_whose_answer_we_never_noted_still_counts() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.stripe.now().0.fail_next(&[Fault::Lost; 3]);
    ada.post(CHECKOUT, order())
        .await
        .expect_problem(503, "unavailable");
    {
        let (mut stripe, now) = shop.stripe.now();
        let session = stripe.session_ids().remove(0);
        assert!(stripe.pay(&session, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}

#[tokio::test]
async fn failure_that_stripe_repeats_is_answered_503_and_adds_nothing() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.stripe.now().0.fail_next(&[Fault::Failing]);
    let refused = ada.post(CHECKOUT, order()).await;
    let refused = refused.expect_problem(503, "unavailable");
    assert!(!refused.header("retry-after").is_empty());
    assert!(!refused.text.contains("Stripe's end"), "no text of theirs");
    assert_eq!(shop.stripe.now().0.n_requests(), 3);
    shop.finish().await;
}

#[tokio::test]
async fn refusal_of_stripe_ends_the_purchase() {
    let shop = Shop::open_with(&[("STRIPE_SECRET_KEY", "sk_test_revoked")]).await;
    let ada = shop.user("ada").await;
    let mut body = order();
    body["idempotencyKey"] = json!("k");
    ada.post(CHECKOUT, body.clone())
        .await
        .expect_problem(503, "unavailable");
    assert_eq!(
        shop.stripe.now().0.n_requests(),
        1,
        "asking again is of no use"
    );
    assert_eq!(shop.purchase(&ada).await["status"], "failed");
    ada.post(CHECKOUT, body)
        .await
        .expect_problem(409, "conflict");
    shop.finish().await;
}

#[tokio::test]
async fn ten_checkouts_may_be_open_and_an_hour_later_again() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    for _ in 0..10 {
        shop.begin(&ada).await;
    }
    shop.pass(Duration::minutes(10)).await;
    let refused = ada.post(CHECKOUT, order()).await;
    let refused = refused.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "3000");
    let bob = shop.user("bob").await;
    shop.begin(&bob).await;
    shop.pass(Duration::minutes(50)).await;
    let ada = ada.login(&ada.email, json!({})).await;
    shop.begin(&ada).await;
    shop.finish().await;
}

#[tokio::test]
async fn people_are_sent_back_to_listed_origins_only() {
    let shop = Shop::open().await;
    let (ada, root) = (shop.user("ada").await, admin(&shop, "root").await);
    let app =
        json!({"appId": "shop", "name": "Shop", "returnOrigins": ["https://shop.example.com"]});
    root.post("/api/v1/admin/apps", app).await.expect(201);
    let with = |success: &str, cancel: &str| json!({"packageId": "small", "successUrl": success, "cancelUrl": cancel});
    let fine = "https://app.example.com/";
    for good in [
        fine,
        "https://shop.example.com/x",
        "http://127.0.0.1:3001/docs",
    ] {
        ada.post(CHECKOUT, with(good, good)).await.expect(200);
    }
    for bad in [
        "https://evil.example.com/",
        "https://app.example.com@evil.example.com/",
        "http://app.example.com/",
        "javascript:alert(1)",
        "/relative",
        "https://app.example.com/\u{1}",
    ] {
        let answer = ada.post(CHECKOUT, with(bad, fine)).await;
        answer.expect_invalid(&["successUrl"]);
        let answer = ada.post(CHECKOUT, with(bad, bad)).await;
        answer.expect_invalid(&["cancelUrl", "successUrl"]);
    }
    root.post_empty("/api/v1/admin/apps/shop/disable")
        .await
        .expect(204);
    ada.post(CHECKOUT, with("https://shop.example.com/x", fine))
        .await
        .expect_invalid(&["successUrl"]);
    shop.finish().await;
}

#[tokio::test]
async fn refused_requests_begin_nothing() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let with = |member: &str, value| {
        let mut body = order();
        body[member] = value;
        body
    };
    shop.anon()
        .post(CHECKOUT, order())
        .await
        .expect_problem(401, "missing_token");
    ada.post(CHECKOUT, with("packageId", json!("none")))
        .await
        .expect_problem(404, "not_found");
    for (member, value) in [
        ("packageId", json!("")),
        ("packageId", json!(5)),
        ("packageId", json!("x".repeat(65))),
        ("packageId", json!("a\u{0}b")),
        ("successUrl", json!(null)),
        ("cancelUrl", json!("x".repeat(2_049))),
        ("idempotencyKey", json!("a b")),
        ("credits", json!(1_000_000)),
        ("priceCents", json!(1)),
    ] {
        let answer = ada.post(CHECKOUT, with(member, value)).await;
        answer.expect_invalid(&[member]);
    }
    shop.run(sqlx::query("update credits.packages set active = false"))
        .await;
    ada.post(CHECKOUT, order())
        .await
        .expect_problem(404, "not_found");
    shop.run(sqlx::query("update credits.packages set active = true"))
        .await;
    shop.freeze(&ada, "admin:1").await;
    ada.post(CHECKOUT, order())
        .await
        .expect_problem(403, "account_frozen");
    assert_eq!(ada.get(PURCHASES).await.expect(200).body, json!([]));
    assert_eq!(shop.stripe.now().0.n_requests(), 0);
    shop.finish().await;
}

#[tokio::test]
async fn without_stripe_nobody_buys_and_there_is_no_webhook() {
    let app = TestApp::start_with(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    super::shop::offer(&app).await;
    let ada = app.user("ada").await;
    let refused = ada.post(CHECKOUT, order()).await;
    let refused = refused.expect_problem(503, "unavailable");
    assert!(refused.string("detail").contains("not set up"));
    assert_eq!(ada.get(PURCHASES).await.expect(200).body, json!([]));
    super::shop::post(&app, "{}", "t=1,v1=00")
        .await
        .expect_problem(404, "not_found");
}
