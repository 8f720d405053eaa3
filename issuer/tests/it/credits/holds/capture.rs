use serde_json::json;
use time::Duration;

use crate::credits::Ledger;
use crate::credits::ledger::{BALANCE, HOLDS, balance, capture, held, hold, release, spend};

#[tokio::test]
async fn a_capture_spends_what_was_held() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let answer = capture(&ada, &id, "c", json!({})).await.expect(200);
    assert_eq!(
        (
            &answer.body["hold"]["status"],
            &answer.body["hold"]["captured"]
        ),
        (&json!("captured"), &json!(100))
    );
    let transaction = &answer.body["transaction"];
    assert_eq!(
        (&transaction["type"], &transaction["amount"]),
        (&json!("usage"), &json!(-100))
    );
    assert_eq!(
        (&transaction["appId"], &transaction["balanceAfter"]),
        (&json!("test"), &json!(50))
    );
    let figures = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (
            &figures["balance"],
            &figures["held"],
            &figures["totalSpent"]
        ),
        (&json!(50), &json!(0), &json!(100))
    );
    ledger.finish().await;
}

#[tokio::test]
async fn partial_captures_add_up_and_the_last_one_ends_the_hold() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    for (key, amount, captured, status) in [
        ("a", 30, 30, "open"),
        ("b", 30, 60, "open"),
        ("c", 40, 100, "captured"),
    ] {
        let answer = capture(&ada, &id, key, json!({"amount": amount}))
            .await
            .expect(200);
        assert_eq!(
            (
                &answer.body["hold"]["captured"],
                &answer.body["hold"]["status"]
            ),
            (&json!(captured), &json!(status))
        );
        assert_eq!(balance(&ada).await, 50);
    }
    capture(&ada, &id, "d", json!({}))
        .await
        .expect_problem(409, "conflict");
    release(&ada, &id, "r")
        .await
        .expect_problem(409, "conflict");
    ledger.finish().await;
}

#[tokio::test]
async fn a_final_capture_gives_back_the_rest() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let answer = capture(&ada, &id, "c", json!({"amount": 30, "final": true}))
        .await
        .expect(200);
    assert_eq!(
        (
            &answer.body["hold"]["captured"],
            &answer.body["hold"]["status"]
        ),
        (&json!(30), &json!("captured"))
    );
    assert_eq!(balance(&ada).await, 120);
    ledger.finish().await;
}

#[tokio::test]
async fn a_capture_above_what_is_left_is_422_and_does_not_burn_its_key() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    capture(&ada, &id, "a", json!({"amount": 60}))
        .await
        .expect(200);
    capture(&ada, &id, "b", json!({"amount": 41}))
        .await
        .expect_invalid(&["amount"]);
    capture(&ada, &id, "b", json!({"amount": 40}))
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 50);
    ledger.finish().await;
}

#[tokio::test]
async fn a_repeated_capture_answers_the_hold_as_it_was_then_and_spends_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let first = capture(&ada, &id, "a", json!({"amount": 30}))
        .await
        .expect(200);
    capture(&ada, &id, "b", json!({"amount": 20, "final": true}))
        .await
        .expect(200);
    ledger.freeze(&ada, "dispute:1").await;
    let again = capture(&ada, &id, "a", json!({"amount": 30}))
        .await
        .expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.text),
        ("true", &first.text)
    );
    assert_eq!(balance(&ada).await, 100);
    ledger.finish().await;
}

#[tokio::test]
async fn a_key_of_a_capture_with_another_body_hold_or_operation_is_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let (id, other) = (held(&ada, 50).await, held(&ada, 50).await);
    capture(&ada, &id, "k", json!({"amount": 10}))
        .await
        .expect(200);
    for body in [
        json!({"amount": 11}),
        json!({"amount": 10, "final": true}),
        json!({}),
    ] {
        capture(&ada, &id, "k", body)
            .await
            .expect_problem(422, "idempotency_key_reused");
    }
    capture(&ada, &other, "k", json!({"amount": 10}))
        .await
        .expect_problem(422, "idempotency_key_reused");
    release(&ada, &id, "k")
        .await
        .expect_problem(422, "idempotency_key_reused");
    let use_body = json!({"amount": 10, "appId": "a", "description": "d", "idempotencyKey": "k"});
    ada.post(crate::credits::ledger::USE, use_body)
        .await
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(balance(&ada).await, 50);
    ledger.finish().await;
}

#[tokio::test]
async fn somebody_elses_hold_does_not_exist() {
    let ledger = Ledger::start().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    let id = held(&ada, 100).await;
    let absent = "AAAAAAAAAAAAAAAAAAAAAA";
    for (id, key) in [
        (id.as_str(), "a"),
        (absent, "b"),
        ("nonsense", "c"),
        ("x%00", "d"),
    ] {
        let captured = capture(&bob, id, key, json!({}))
            .await
            .expect_problem(404, "not_found");
        let released = release(&bob, id, key)
            .await
            .expect_problem(404, "not_found");
        assert_eq!(captured.text, released.text);
    }
    capture(&ada, &id, "a", json!({})).await.expect(200);
    ledger.finish().await;
}

#[tokio::test]
async fn a_hold_of_another_principal_on_the_same_account_does_not_exist() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    ledger
        .run(sqlx::query(
            "update credits.holds set placed_by = 'service:gateway'",
        ))
        .await;
    capture(&ada, &id, "c", json!({}))
        .await
        .expect_problem(404, "not_found");
    release(&ada, &id, "r")
        .await
        .expect_problem(404, "not_found");
    ledger.finish().await;
}

#[tokio::test]
async fn a_hold_over_two_lots_is_captured_in_the_order_of_spending() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.add_lot(&ada, "gift", 100, None).await;
    let id = held(&ada, 200).await;
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 150, 150), ("gift".into(), 100, 50)]
    );
    capture(&ada, &id, "a", json!({"amount": 149}))
        .await
        .expect(200);
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 1, 1), ("gift".into(), 100, 50)]
    );
    capture(&ada, &id, "b", json!({"amount": 2, "final": true}))
        .await
        .expect(200);
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 0, 0), ("gift".into(), 99, 0)]
    );
    ledger.finish().await;
}

#[tokio::test]
async fn credits_that_lapse_while_held_can_still_be_captured() {
    let ledger =
        Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 100, Some(Duration::seconds(60)))
        .await;
    let id = held(&ada, 70).await;
    ledger.advance(Duration::seconds(60)).await;
    let figures = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&figures["balance"], &figures["held"]),
        (&json!(0), &json!(70))
    );
    hold(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    capture(&ada, &id, "a", json!({"amount": 40, "final": true}))
        .await
        .expect(200);
    // The rest came free of a lot that has lapsed: it lapses too.
    spend(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(ledger.lots(&ada).await, [("gift".into(), 0, 0)]);
    ledger.finish().await;
}

#[tokio::test]
async fn a_capture_needs_no_body() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let id = held(&ada, 100).await;
    let path = format!("{HOLDS}/{id}/capture");
    let answer = ada
        .call(
            poem::http::Method::POST,
            &path,
            &[("idempotency-key", "k")],
            None,
        )
        .await
        .expect(200);
    assert_eq!(answer.body["hold"]["captured"], 100);
    ledger.finish().await;
}
