use serde_json::json;
use time::Duration;

use crate::credits::Ledger;
use crate::credits::ledger::{HOLDS, balance, capture, held, hold, release, spend};

#[tokio::test]
async fn a_hold_reserves_credits_that_use_cannot_take() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let body =
        json!({"amount": 100, "appId": "gateway", "description": "GET /", "expiresInSeconds": 60});
    let answer = ada.post(HOLDS, body).await.expect(201);
    let expected = json!({"hold": {
        "id": answer.body["hold"]["id"], "amount": 100, "captured": 0, "status": "open", "appId": "gateway",
        "expiresAt": "2026-03-01T12:01:00Z", "createdAt": "2026-03-01T12:00:00Z",
    }});
    assert_eq!(answer.body, expected);
    assert_eq!(
        spend(&ada, 51)
            .await
            .expect_problem(402, "insufficient_credits")
            .body["balance"],
        50
    );
    assert_eq!(spend(&ada, 50).await.expect(200).body["balance"], 0);
    ledger.finish().await;
}

#[tokio::test]
async fn a_hold_lasts_five_minutes_when_nothing_is_said_and_an_hour_at_most() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let usual = hold(&ada, 1).await.expect(201);
    assert_eq!(usual.body["hold"]["expiresAt"], "2026-03-01T12:05:00Z");
    let longest = json!({"amount": 1, "appId": "a", "expiresInSeconds": 3600});
    let longest = ada.post(HOLDS, longest).await.expect(201);
    assert_eq!(longest.body["hold"]["expiresAt"], "2026-03-01T13:00:00Z");
    ledger.finish().await;
}

#[tokio::test]
async fn holds_cannot_reserve_more_than_there_is() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    hold(&ada, 100).await.expect(201);
    let refused = hold(&ada, 51)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(refused.body["balance"], 50);
    hold(&ada, 50).await.expect(201);
    hold(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    ledger.finish().await;
}

#[tokio::test]
async fn a_repeated_key_answers_the_hold_as_it_was_placed() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let body = json!({"amount": 100, "appId": "a", "idempotencyKey": "k"});
    let first = ada.post(HOLDS, body.clone()).await.expect(201);
    let id = first.body["hold"]["id"].as_str().expect("an id");
    capture(&ada, id, "c", json!({"amount": 40, "final": true}))
        .await
        .expect(200);
    let again = ada.post(HOLDS, body).await.expect(201);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.text),
        ("true", &first.text)
    );
    assert_eq!(balance(&ada).await, 110);
    ledger.finish().await;
}

#[tokio::test]
async fn a_key_of_a_hold_with_another_body_or_operation_is_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let base = json!({"amount": 10, "appId": "a", "idempotencyKey": "k"});
    ada.post(HOLDS, base.clone()).await.expect(201);
    for (field, value) in [
        ("amount", json!(11)),
        ("appId", json!("b")),
        ("description", json!("d")),
        ("expiresInSeconds", json!(300)),
    ] {
        let mut other = base.clone();
        other[field] = value;
        ada.post(HOLDS, other)
            .await
            .expect_problem(422, "idempotency_key_reused");
    }
    let mut other = base;
    other["description"] = json!("d");
    ada.post(crate::credits::ledger::USE, other)
        .await
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn a_declined_hold_burns_its_key() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let body = json!({"amount": 1000, "appId": "a", "idempotencyKey": "k"});
    ada.post(HOLDS, body.clone())
        .await
        .expect_problem(402, "insufficient_credits");
    ledger.add_lot(&ada, "gift", 5000, None).await;
    let again = ada
        .post(HOLDS, body)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(
        (again.header("idempotent-replayed"), &again.body["balance"]),
        ("true", &json!(150))
    );
    ledger.finish().await;
}

#[tokio::test]
async fn declined_holds_and_charges_share_one_limit() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for i in 0..60 {
        let body = json!({"amount": 1000, "appId": "a", "idempotencyKey": format!("k{i}")});
        ada.post(HOLDS, body)
            .await
            .expect_problem(402, "insufficient_credits");
    }
    let body = json!({"amount": 1000, "appId": "a", "idempotencyKey": "late"});
    let limited = ada
        .post(HOLDS, body)
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "60");
    hold(&ada, 1000)
        .await
        .expect_problem(402, "insufficient_credits");
    ledger.finish().await;
}

#[tokio::test]
async fn a_frozen_account_places_no_hold_and_keeps_those_it_has() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let (one, two) = (held(&ada, 10).await, held(&ada, 10).await);
    ledger.freeze(&ada, "dispute:1").await;
    hold(&ada, 1).await.expect_problem(403, "account_frozen");
    capture(&ada, &one, "c", json!({})).await.expect(200);
    release(&ada, &two, "r").await.expect(200);
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn a_thousand_holds_may_be_open_and_not_one_more() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.add_lot(&ada, "gift", 2000, None).await;
    let id = held(&ada, 1).await;
    sqlx::query(
        "select credits.place_hold($1, translate(encode(substr(sha256(i::text::bytea), 1, 16), 'base64'), '+/=', '-_'),
                1, 'a', null, 300, 'user:' || $1, null, sha256(''), 0, 0)
           from generate_series(1, 999) i",
    )
    .bind(&ada.id)
    .execute(&ledger.db.owner)
    .await
    .expect("placed");
    hold(&ada, 1).await.expect_problem(409, "conflict");
    release(&ada, &id, "r").await.expect(200);
    hold(&ada, 1).await.expect(201);
    // All lapse at once, in one settlement.
    ledger.advance(Duration::minutes(5)).await;
    assert_eq!(balance(&ada).await, 2150);
    ledger.finish().await;
}
