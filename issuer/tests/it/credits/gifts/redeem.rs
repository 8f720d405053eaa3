//! Taking a gift by its code.

use serde_json::json;
use time::Duration;

use super::{REDEEM, cancel, give, given, giver, redeem, without_free};
use crate::credits::Ledger;
use crate::credits::ledger::{BALANCE, TRANSACTIONS, balance, spend};

#[tokio::test]
async fn code_moves_the_credits() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let answer = give(&ada, 50, json!({"message": "Well done"}))
        .await
        .expect(201);
    let redeemed = redeem(&bob, &answer.string("code")).await.expect(200);
    assert_eq!(redeemed.body["balance"], 50);
    let gift = &redeemed.body["gift"];
    assert_eq!(gift["direction"], "received");
    assert_eq!(gift["status"], "redeemed");
    assert_eq!(gift["message"], "Well done");
    assert_eq!(gift["id"], answer.body["gift"]["id"]);
    let view = bob.get(BALANCE).await.expect(200).body;
    assert_eq!(view["balance"], 50);
    assert_eq!(view["freeCreditsRemaining"], 50);
    assert_eq!(view["totalEarned"], 50);
    let newest = &bob.get(TRANSACTIONS).await.expect(200).body[0];
    assert_eq!(
        (&newest["type"], &newest["amount"]),
        (&json!("gift"), &json!(50))
    );
    assert_eq!(balance(&ada).await, 150);
    spend(&bob, 50).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn code_works_however_it_is_typed() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 50).await;
    let typed = format!(" {} ", code.to_lowercase().replace('-', " "));
    redeem(&bob, &typed).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn the_same_user_may_ask_again_and_nobody_else() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let eve = ledger.user("eve").await;
    let (_, code) = given(&ada, 50).await;
    let first = redeem(&bob, &code).await.expect(200);
    let again = redeem(&bob, &code).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.body, again.body);
    redeem(&eve, &code).await.expect_problem(404, "not_found");
    redeem(&ada, &code).await.expect_problem(404, "not_found");
    assert_eq!((balance(&bob).await, balance(&eve).await), (50, 0));
    drop((ada, bob, eve));
    ledger.finish().await;
}

#[tokio::test]
async fn unknown_foreign_cancelled_and_expired_have_one_answer() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let foreign = give(&ada, 10, json!({"recipientEmail": "carol@example.com"}))
        .await
        .expect(201)
        .string("code");
    let (id, cancelled) = given(&ada, 10).await;
    cancel(&ada, &id).await.expect(200);
    let expires_at = ledger.app.clock.now() + Duration::hours(1);
    let soon = json!({"expiresAt": super::super::ledger::rfc3339(expires_at)});
    let expired = give(&ada, 10, soon).await.expect(201).string("code");
    let bob = ledger.advance_with(Duration::hours(1), &bob).await;
    let mut answers = Vec::new();
    for code in [
        foreign.as_str(),
        &cancelled,
        &expired,
        "0000-0000-0000-0000-0000-0000-00",
        "not a code",
        "é",
    ] {
        let answer = redeem(&bob, code).await.expect_problem(404, "not_found");
        answers.push(answer.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(balance(&bob).await, 0);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn a_moment_before_its_end_it_can_be_redeemed() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let expires_at = ledger.app.clock.now() + Duration::hours(1);
    let soon = json!({"expiresAt": super::super::ledger::rfc3339(expires_at)});
    let code = give(&ada, 10, soon).await.expect(201).string("code");
    let bob = ledger.user("bob").await;
    let bob = ledger
        .advance_with(Duration::hours(1) - Duration::microseconds(1), &bob)
        .await;
    redeem(&bob, &code).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn giver_takes_it_back_instead_of_redeeming_it() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let (_, code) = given(&ada, 50).await;
    redeem(&ada, &code).await.expect_problem(409, "conflict");
    assert_eq!(balance(&ada).await, 150);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn frozen_receiver_gets_it_and_cannot_spend_it() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    ledger.freeze(&bob, "dispute:1").await;
    let (_, code) = given(&ada, 50).await;
    redeem(&bob, &code).await.expect(200);
    assert_eq!(balance(&bob).await, 50);
    spend(&bob, 1).await.expect_problem(403, "account_frozen");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn while_the_giver_is_frozen_it_stays_where_it_is() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 50).await;
    ledger.freeze(&ada, "dispute:1").await;
    redeem(&bob, &code).await.expect_problem(409, "conflict");
    assert_eq!(balance(&bob).await, 0);
    ledger.lift(&ada, "dispute:1").await;
    redeem(&bob, &code).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn full_account_is_told_so_and_the_gift_stays() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 50).await;
    ledger.fill(&bob, 49).await;
    let before = balance(&bob).await;
    redeem(&bob, &code).await.expect_problem(409, "conflict");
    assert_eq!(balance(&bob).await, before);
    let eve = ledger.user("eve").await;
    redeem(&eve, &code).await.expect(200);
    drop((ada, bob, eve));
    ledger.finish().await;
}

#[tokio::test]
async fn account_with_just_enough_room_takes_it() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 50).await;
    ledger.fill(&bob, 50).await;
    redeem(&bob, &code).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_per_user() {
    let variables = [
        ("CREDITS_SIGNUP_BONUS", "0"),
        ("CREDITS_DAILY_FREE", "0"),
        ("RATE_LIMIT_SCALE", "1"),
    ];
    let ledger = Ledger::start_with(&variables).await;
    let bob = ledger.user("bob").await;
    for _ in 0..10 {
        redeem(&bob, "wrong").await.expect_problem(404, "not_found");
    }
    let elsewhere = bob.calling_from("198.51.100.7");
    let refused = redeem(&elsewhere, "wrong")
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "6");
    let eve = ledger.user("eve").await;
    redeem(&eve, "wrong").await.expect_problem(404, "not_found");
    drop((bob, elsewhere, eve));
    ledger.finish().await;
}

#[tokio::test]
async fn bad_input_is_named() {
    let ledger = without_free().await;
    let bob = ledger.user("bob").await;
    for body in [
        json!({}),
        json!({"code": 5}),
        json!({"code": ""}),
        json!({"code": "x".repeat(101)}),
    ] {
        bob.post(REDEEM, body).await.expect_invalid(&["code"]);
    }
    bob.post(REDEEM, json!({"code": "x", "amount": 5}))
        .await
        .expect_invalid(&["amount"]);
    ledger
        .anon()
        .post(REDEEM, json!({"code": "x"}))
        .await
        .expect_problem(401, "missing_token");
    drop(bob);
    ledger.finish().await;
}

#[tokio::test]
async fn many_who_redeem_at_once_are_one() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let (_, code) = given(&ada, 50).await;
    let mut people = Vec::new();
    for i in 0..8 {
        people.push(ledger.user(&format!("user{i}")).await);
    }
    let tries = people.iter().map(|person| redeem(person, &code));
    let answers = futures_util::future::join_all(tries).await;
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 404))
    );
    drop((ada, people));
    ledger.finish().await;
}
