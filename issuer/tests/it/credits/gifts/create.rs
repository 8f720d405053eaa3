//! Giving.

use serde_json::json;
use time::Duration;

use super::{GIFTS, WEEK, give, given, giver, without_free};
use crate::credits::ledger::{TRANSACTIONS, balance, buy, held, rfc3339, spend};
use crate::support::Actor;

#[tokio::test]
async fn gift_leaves_the_account_and_answers_a_code() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let answer = give(&ada, 50, json!({"message": "Well done"}))
        .await
        .expect(201);
    assert_eq!(answer.body["balance"], 150);
    assert_eq!(answer.string("code").len(), 32);
    let gift = &answer.body["gift"];
    assert_eq!(gift["amount"], 50);
    assert_eq!(gift["direction"], "made");
    assert_eq!(gift["status"], "waiting");
    assert_eq!(gift["message"], "Well done");
    let expires_at = ledger.app.clock.now() + Duration::days(90);
    assert_eq!(gift["expiresAt"], rfc3339(expires_at));
    assert_eq!(balance(&ada).await, 150);
    let newest = &ada.get(TRANSACTIONS).await.expect(200).body[0];
    assert_eq!(newest["type"], "gift");
    assert_eq!(newest["amount"], -50);
    assert_eq!(newest["metadata"]["giftId"], gift["id"]);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn credits_bought_within_seven_days_cannot_be_given() {
    let ledger = without_free().await;
    let ada = ledger.user("ada").await;
    buy(&ledger, &ada, "p1", 200, None).await;
    let ada = ledger
        .advance_with(WEEK - Duration::microseconds(1), &ada)
        .await;
    let answer = give(&ada, 1, json!({})).await;
    let problem = answer.expect_problem(402, "insufficient_credits");
    assert_eq!(problem.body["balance"], 0);
    assert!(problem.text.contains("more than seven days ago"));
    ledger.advance(Duration::microseconds(1)).await;
    give(&ada, 200, json!({})).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn only_purchased_credits_can_be_given() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    for kind in ["gift", "refund", "signup"] {
        ledger.add_lot(&ada, kind, 500, None).await;
    }
    let ada = ledger.advance_with(WEEK, &ada).await;
    let problem = give(&ada, 201, json!({}))
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(problem.body["balance"], 200);
    give(&ada, 200, json!({})).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn held_credits_cannot_be_given() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    held(&ada, 150).await;
    let problem = give(&ada, 51, json!({}))
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(problem.body["balance"], 50);
    give(&ada, 50, json!({})).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn repeated_key_answers_the_same_gift_and_code() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let body = json!({"idempotencyKey": "k", "message": "m"});
    let first = give(&ada, 50, body.clone()).await.expect(201);
    let second = give(&ada, 50, body).await.expect(201);
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(first.body, second.body);
    assert_eq!(balance(&ada).await, 150);
    for other in [
        json!({"message": "n"}),
        json!({}),
        json!({"message": "m", "recipientEmail": "b@example.com"}),
    ] {
        let mut body = other;
        body["idempotencyKey"] = json!("k");
        give(&ada, 50, body)
            .await
            .expect_problem(422, "idempotency_key_reused");
    }
    give(&ada, 51, json!({"idempotencyKey": "k", "message": "m"}))
        .await
        .expect_problem(422, "idempotency_key_reused");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn key_of_a_charge_is_no_key_of_a_gift() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let charge = json!({"amount": 1, "appId": "a", "description": "d", "idempotencyKey": "k"});
    ada.post("/api/v1/credits/use", charge.clone())
        .await
        .expect(200);
    give(&ada, 1, json!({"idempotencyKey": "k"}))
        .await
        .expect_problem(422, "idempotency_key_reused");
    give(&ada, 1, json!({"idempotencyKey": "g"}))
        .await
        .expect(201);
    let mut charge = charge;
    charge["idempotencyKey"] = json!("g");
    ada.post("/api/v1/credits/use", charge)
        .await
        .expect_problem(422, "idempotency_key_reused");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn refusal_for_want_of_credits_is_repeated() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let body = json!({"idempotencyKey": "k"});
    give(&ada, 300, body.clone())
        .await
        .expect_problem(402, "insufficient_credits");
    buy(&ledger, &ada, "p2", 200, None).await;
    let ada = ledger.advance_with(WEEK, &ada).await;
    let again = give(&ada, 300, body)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(again.body["balance"], 200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    give(&ada, 300, json!({"idempotencyKey": "k2"}))
        .await
        .expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn giving_needs_a_recent_sign_in() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    ledger.advance(Duration::minutes(10)).await;
    give(&ada, 1, json!({}))
        .await
        .expect_problem(403, "reauthentication_required");
    assert_eq!(balance(&ada).await, 200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn ended_session_gives_nothing() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    give(&ada, 1, json!({})).await.expect(401);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn frozen_account_gives_nothing() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    ledger.freeze(&ada, "dispute:1").await;
    give(&ada, 1, json!({}))
        .await
        .expect_problem(403, "account_frozen");
    ledger.lift(&ada, "dispute:1").await;
    give(&ada, 1, json!({})).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn nobody_gives_to_themselves() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    for own in ["ada@example.com", " ADA@example.com "] {
        give(&ada, 1, json!({ "recipientEmail": own }))
            .await
            .expect_invalid(&["recipientEmail"]);
    }
    assert_eq!(balance(&ada).await, 200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn bad_input_is_named() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let now = ledger.app.clock.now();
    for (field, value) in [
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("amount", json!(1.5)),
        ("amount", json!("5")),
        ("amount", json!(1_000_000_000_001_i64)),
        ("recipientEmail", json!("nonsense")),
        ("recipientEmail", json!("a@b@c.example")),
        ("recipientEmail", json!("")),
        ("message", json!("")),
        ("message", json!("m".repeat(501))),
        ("message", json!("a\u{0}b")),
        ("expiresAt", json!(rfc3339(now))),
        (
            "expiresAt",
            json!(rfc3339(now + Duration::days(365) + Duration::SECOND)),
        ),
        ("expiresAt", json!("tomorrow")),
        ("idempotencyKey", json!("")),
        ("code", json!("mine")),
    ] {
        let mut body = json!({"amount": 5});
        body[field] = value.clone();
        let answer = ada.post(GIFTS, body).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.text);
    }
    ada.post(GIFTS, json!({})).await.expect_invalid(&["amount"]);
    Actor::anon(&ledger)
        .post(GIFTS, json!({"amount": 5}))
        .await
        .expect_problem(401, "missing_token");
    assert_eq!(balance(&ada).await, 200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn a_hundred_gifts_may_wait() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(given(&ada, 1).await.0);
    }
    give(&ada, 1, json!({}))
        .await
        .expect_problem(409, "conflict");
    super::cancel(&ada, &ids[0]).await.expect(200);
    give(&ada, 1, json!({})).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn twenty_addresses_a_day() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    for i in 0..20 {
        let to = json!({"recipientEmail": format!("friend{i}@example.com")});
        give(&ada, 1, to).await.expect(201);
    }
    let to = json!({"recipientEmail": "another@example.com"});
    let refused = give(&ada, 1, to.clone())
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "86400");
    // Without an address nobody is written to.
    give(&ada, 1, json!({})).await.expect(201);
    let ada = ledger
        .advance_with(Duration::days(1) - Duration::SECOND, &ada)
        .await;
    give(&ada, 1, to.clone())
        .await
        .expect_problem(429, "rate_limited");
    ledger.advance(Duration::SECOND).await;
    give(&ada, 1, to).await.expect(201);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn what_is_given_cannot_be_spent() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    given(&ada, 150).await;
    spend(&ada, 51)
        .await
        .expect_problem(402, "insufficient_credits");
    spend(&ada, 50).await.expect(200);
    give(&ada, 1, json!({}))
        .await
        .expect_problem(402, "insufficient_credits");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn code_is_stored_nowhere() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let (_, code) = given(&ada, 50).await;
    let rows: String = ledger
        .db
        .value("select string_agg(to_jsonb(g)::text || encode(g.code_hash, 'base64'), ' ') from credits.gifts g")
        .await;
    assert!(!rows.contains(&code) && !rows.contains(&code.replace('-', "")));
    let events: String = ledger
        .db
        .value("select string_agg(d.data::text, ' ') from auth.security_event_details d")
        .await;
    assert!(events.contains("giftId") && !events.contains(&code));
    drop(ada);
    ledger.finish().await;
}
