//! Gifts that go back: taken back, not taken in time.

use serde_json::json;
use time::Duration;

use super::{GIFTS, cancel, give, given, giver, redeem, without_free};
use crate::credits::ledger::{BALANCE, TRANSACTIONS, balance, buy, rfc3339, spend};

#[tokio::test]
async fn cancelled_gift_is_back_at_once() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let (id, code) = given(&ada, 50).await;
    let answer = cancel(&ada, &id).await.expect(200);
    assert_eq!(answer.body["balance"], 200);
    assert_eq!(answer.body["gift"]["status"], "cancelled");
    assert_eq!(ledger.lots(&ada).await, [("purchase".into(), 200, 0)]);
    let again = cancel(&ada, &id).await.expect(200);
    assert_eq!(again.body, answer.body);
    let bob = ledger.user("bob").await;
    redeem(&bob, &code).await.expect_problem(404, "not_found");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn what_comes_back_was_not_earned_anew() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let (id, _) = given(&ada, 50).await;
    cancel(&ada, &id).await.expect(200);
    let view = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&view["totalEarned"], &view["totalSpent"]),
        (&json!(200), &json!(0))
    );
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn redeemed_gift_cannot_be_taken_back() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (id, code) = given(&ada, 50).await;
    redeem(&bob, &code).await.expect(200);
    cancel(&ada, &id).await.expect_problem(409, "conflict");
    cancel(&bob, &id).await.expect_problem(404, "not_found");
    assert_eq!((balance(&ada).await, balance(&bob).await), (150, 50));
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn somebody_elses_gift_is_not_there() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (id, _) = given(&ada, 50).await;
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    let foreign = cancel(&bob, &id).await.expect_problem(404, "not_found");
    let absent = cancel(&bob, unknown).await.expect_problem(404, "not_found");
    assert_eq!(foreign.text, absent.text);
    for malformed in ["x", "%00", &"A".repeat(23)] {
        cancel(&bob, malformed)
            .await
            .expect_problem(404, "not_found");
    }
    ledger
        .anon()
        .post_empty(&format!("{GIFTS}/{id}/cancel"))
        .await
        .expect_problem(401, "missing_token");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn gift_nobody_takes_returns_when_its_time_is_over() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let expires_at = ledger.app.clock.now() + Duration::hours(1);
    let soon = json!({ "expiresAt": rfc3339(expires_at) });
    let id = give(&ada, 50, soon).await.expect(201).body["gift"]["id"].clone();
    ledger
        .advance(Duration::hours(1) - Duration::microseconds(1))
        .await;
    let ada = ada.login(&ada.email, json!({})).await;
    assert_eq!(balance(&ada).await, 150);
    ledger.advance(Duration::microseconds(1)).await;
    // Told before anything has written it down.
    let listed = &ada.get(GIFTS).await.expect(200).body[0];
    assert_eq!((&listed["id"], &listed["status"]), (&id, &json!("expired")));
    assert_eq!(listed["endedAt"], rfc3339(expires_at));
    spend(&ada, 200).await.expect(200);
    let newest = &ada.get(TRANSACTIONS).await.expect(200).body[1];
    assert_eq!(
        (&newest["type"], &newest["amount"]),
        (&json!("gift"), &json!(50))
    );
    cancel(&ada, id.as_str().expect("an id"))
        .await
        .expect_problem(409, "conflict");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn gift_ends_before_credits_in_it_lapse() {
    let ledger = without_free().await;
    let ada = ledger.user("ada").await;
    let lapses_at = ledger.app.clock.now() + Duration::days(10);
    buy(&ledger, &ada, "p1", 200, Some(Duration::days(10))).await;
    let ada = ledger.advance_with(super::WEEK, &ada).await;
    let gift = give(&ada, 50, json!({})).await.expect(201).body["gift"].clone();
    assert_eq!(gift["expiresAt"], rfc3339(lapses_at));
    let ada = ledger.advance_with(Duration::days(3), &ada).await;
    // Back in its lot, and lapsed with it.
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(ledger.lots(&ada).await, [("purchase".into(), 0, 0)]);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn sleeping_account_gets_its_gift_back_by_the_sweep() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    given(&ada, 50).await;
    ledger.advance(Duration::days(90)).await;
    issuer::credits::settle_sleeping(&ledger.app)
        .await
        .expect("swept");
    assert_eq!(ledger.lots(&ada).await, [("purchase".into(), 200, 0)]);
    let status: String = ledger.db.value("select status from credits.gifts").await;
    assert_eq!(status, "expired");
    let n_before = ledger.n_entries().await;
    issuer::credits::settle_sleeping(&ledger.app)
        .await
        .expect("swept");
    assert_eq!(ledger.n_entries().await, n_before);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn cancelling_and_redeeming_at_once_is_one_of_the_two() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    for _ in 0..10 {
        let (id, code) = given(&ada, 10).await;
        let (cancelled, redeemed) = tokio::join!(cancel(&ada, &id), redeem(&bob, &code));
        let outcome = (cancelled.status, redeemed.status);
        assert!(matches!(outcome, (200, 404) | (409, 200)), "{outcome:?}");
    }
    assert_eq!(balance(&ada).await + balance(&bob).await, 200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn two_who_give_to_each_other_do_not_wait_for_each_other() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    buy(&ledger, &bob, "p2", 200, None).await;
    let (ada, bob) = (
        ledger.advance_with(super::WEEK, &ada).await,
        bob.login(&bob.email, json!({})).await,
    );
    for user in [&ada, &bob] {
        let sql = "update auth.users set email_verified_at = auth.clock() where id = $1";
        ledger.run(sqlx::query(sql).bind(user.id.clone())).await;
    }
    for _ in 0..5 {
        let to_bob = give(&ada, 10, json!({"recipientEmail": "bob@example.com"}));
        let to_ada = give(&bob, 10, json!({"recipientEmail": "ada@example.com"}));
        let (one, other) = tokio::join!(to_bob, to_ada);
        assert_eq!((one.status, other.status), (201, 201));
    }
    assert_eq!((balance(&ada).await, balance(&bob).await), (200, 200));
    drop((ada, bob));
    ledger.finish().await;
}
