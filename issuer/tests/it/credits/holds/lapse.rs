use serde_json::json;
use time::Duration;

use crate::credits::Ledger;
use crate::credits::ledger::{HOLDS, balance, capture, held, release, spend};

#[tokio::test]
async fn a_hold_holds_until_the_instant_it_expires() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    held(&ada, 100).await;
    ledger
        .advance(Duration::seconds(300) - Duration::microseconds(1))
        .await;
    assert_eq!(balance(&ada).await, 50);
    spend(&ada, 51)
        .await
        .expect_problem(402, "insufficient_credits");
    ledger.advance(Duration::microseconds(1)).await;
    assert_eq!(balance(&ada).await, 150);
    assert_eq!(spend(&ada, 150).await.expect(200).body["balance"], 0);
    ledger.finish().await;
}

#[tokio::test]
async fn a_hold_can_be_captured_the_instant_before_it_expires_and_not_at_it() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let (one, two) = (held(&ada, 10).await, held(&ada, 10).await);
    ledger
        .advance(Duration::seconds(300) - Duration::microseconds(1))
        .await;
    capture(&ada, &one, "a", json!({})).await.expect(200);
    ledger.advance(Duration::microseconds(1)).await;
    capture(&ada, &two, "b", json!({}))
        .await
        .expect_problem(409, "conflict");
    release(&ada, &two, "c")
        .await
        .expect_problem(409, "conflict");
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn what_was_captured_before_a_hold_lapsed_stays_spent() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let first = capture(&ada, &id, "a", json!({"amount": 30}))
        .await
        .expect(200);
    ledger.advance(Duration::seconds(300)).await;
    assert_eq!(balance(&ada).await, 120);
    // The answer given then is still given.
    let again = capture(&ada, &id, "a", json!({"amount": 30}))
        .await
        .expect(200);
    assert_eq!(again.text, first.text);
    ledger.finish().await;
}

#[tokio::test]
async fn holds_lapse_on_a_frozen_account_too() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    held(&ada, 100).await;
    ledger.freeze(&ada, "dispute:1").await;
    ledger.advance(Duration::seconds(300)).await;
    assert_eq!(balance(&ada).await, 150);
    ledger.finish().await;
}

#[tokio::test]
async fn a_lot_that_lapsed_under_a_hold_lapses_when_the_hold_does() {
    let ledger =
        Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 100, Some(Duration::seconds(60)))
        .await;
    let body = json!({"amount": 70, "appId": "a", "expiresInSeconds": 120});
    ada.post(HOLDS, body).await.expect(201);
    ledger.advance(Duration::seconds(60)).await;
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(ledger.lots(&ada).await, [("gift".into(), 70, 70)]);
    ledger.advance(Duration::seconds(60)).await;
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(ledger.lots(&ada).await, [("gift".into(), 0, 0)]);
    ledger.finish().await;
}
