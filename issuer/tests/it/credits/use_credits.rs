use poem::http::Method;
use serde_json::json;
use time::Duration;

use super::Ledger;
use super::ledger::{USE, balance, spend, spend_once};
use crate::support::TestApp;

#[tokio::test]
async fn using_credits_lowers_the_balance_and_answers_the_transaction() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let body =
        json!({"amount": 10, "appId": "writer", "description": "a page", "metadata": {"page": 7}});
    let answer = ada.post(USE, body).await.expect(200);
    assert_eq!(answer.body["balance"], 140);
    let transaction = &answer.body["transaction"];
    assert!(transaction["id"].is_string());
    assert_eq!(transaction["type"], "usage");
    assert_eq!(transaction["amount"], -10);
    assert_eq!(transaction["balanceAfter"], 140);
    assert_eq!(transaction["appId"], "writer");
    assert_eq!(transaction["description"], "a page");
    assert_eq!(transaction["metadata"], json!({"page": 7}));
    assert_eq!(transaction["createdAt"], "2026-03-01T12:00:00Z");
    assert_eq!(transaction.as_object().map(serde_json::Map::len), Some(8));
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn the_last_credit_can_be_spent_and_not_one_more() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    assert_eq!(spend(&ada, 150).await.expect(200).body["balance"], 0);
    let refused = spend(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(refused.body["balance"], 0);
    ledger.finish().await;
}

#[tokio::test]
async fn a_repeated_key_gives_the_same_answer_and_spends_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let first = spend_once(&ada, 10, "k").await.expect(200);
    assert_eq!(first.header("idempotent-replayed"), "");
    spend(&ada, 5).await.expect(200);
    ledger.advance(Duration::minutes(5)).await;
    let again = spend_once(&ada, 10, "k").await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.text, first.text);
    assert_eq!(balance(&ada).await, 135);
    ledger.finish().await;
}

#[tokio::test]
async fn the_header_means_the_same_as_the_field() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let first = spend_once(&ada, 10, "k").await.expect(200);
    let body = json!({"amount": 10, "appId": "test", "description": "work"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
    ];
    let again = ada
        .call(Method::POST, USE, &headers, Some(body))
        .await
        .expect(200);
    assert_eq!(again.text, first.text);
    ledger.finish().await;
}

#[tokio::test]
async fn order_of_members_and_spelling_of_numbers_do_not_make_another_request() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let send = async |body: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        ada.call(Method::POST, USE, &headers, Some(body.to_owned()))
            .await
    };
    let first = send(r#"{"amount":1,"appId":"a","description":"d","metadata":{"x":1.50,"y":[1]}}"#)
        .await
        .expect(200);
    let again =
        send(r#"{"metadata":{"y":[1],"x":15e-1},"description":"d","appId":"\u0061","amount":1}"#)
            .await
            .expect(200);
    assert_eq!(again.text, first.text);
    ledger.finish().await;
}

#[tokio::test]
async fn a_key_with_another_body_is_422_and_spends_nothing() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let base = json!({"amount": 10, "appId": "a", "description": "d", "idempotencyKey": "k", "metadata": {"m": 1}});
    ada.post(USE, base.clone()).await.expect(200);
    for (field, value) in [
        ("amount", json!(11)),
        ("appId", json!("b")),
        ("description", json!("e")),
        ("metadata", json!({"m": 2})),
        ("metadata", json!({})),
    ] {
        let mut other = base.clone();
        other[field] = value;
        ada.post(USE, other)
            .await
            .expect_problem(422, "idempotency_key_reused");
    }
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn users_may_choose_the_same_key() {
    let ledger = Ledger::start().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    let one = spend_once(&ada, 10, "k").await.expect(200);
    let other = spend_once(&bob, 20, "k").await.expect(200);
    assert_ne!(
        one.body["transaction"]["id"],
        other.body["transaction"]["id"]
    );
    assert_eq!((balance(&ada).await, balance(&bob).await), (140, 130));
    ledger.finish().await;
}

#[tokio::test]
async fn a_key_named_like_the_systems_does_not_stand_in_its_way() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for key in ["signup", "daily:1", "system"] {
        spend_once(&ada, 10, key).await.expect(200);
    }
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, 150 - 30 + 5);
    ledger.finish().await;
}

#[tokio::test]
async fn a_decline_burns_its_key() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let first = spend_once(&ada, 1000, "k")
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(first.header("idempotent-replayed"), "");
    ledger.add_lot(&ada, "gift", 5000, None).await;
    assert_eq!(balance(&ada).await, 5150);
    let again = spend_once(&ada, 1000, "k")
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body["balance"], 150);
    spend_once(&ada, 1000, "k2").await.expect(200);
    ledger.finish().await;
}

#[tokio::test]
async fn a_decline_without_a_key_is_not_written_down() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let before = ledger.n_entries().await;
    for _ in 0..100 {
        spend(&ada, 1000)
            .await
            .expect_problem(402, "insufficient_credits");
    }
    assert_eq!(ledger.n_entries().await, before);
    ledger.finish().await;
}

#[tokio::test]
async fn sixty_declines_a_minute_are_written_down_and_no_more() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for i in 0..60 {
        spend_once(&ada, 1000, &format!("k{i}"))
            .await
            .expect_problem(402, "insufficient_credits");
    }
    let limited = spend_once(&ada, 1000, "late")
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "60");
    // What was written down is still answered, and what can be paid still goes through.
    spend_once(&ada, 1000, "k7")
        .await
        .expect_problem(402, "insufficient_credits");
    spend_once(&ada, 1, "small").await.expect(200);
    ledger.advance(Duration::seconds(59)).await;
    let limited = spend_once(&ada, 1000, "late")
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "1");
    ledger.advance(Duration::seconds(1)).await;
    spend_once(&ada, 1000, "late")
        .await
        .expect_problem(402, "insufficient_credits");
    ledger.finish().await;
}

#[tokio::test]
async fn lots_are_spent_by_kind_then_by_expiry() {
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "10")]).await;
    let ada = ledger.user("ada").await;
    for (kind, expires) in [
        ("refund", None),
        ("gift", None),
        ("gift", Some(Duration::days(20))),
        ("gift", Some(Duration::days(10))),
        ("daily", Some(Duration::days(30))),
    ] {
        ledger.add_lot(&ada, kind, 10, expires).await;
    }
    // signup, refund, gift (never), gift (20 days), gift (10 days), daily
    let remaining = async || {
        let lots = ledger.lots(&ada).await;
        lots.iter()
            .map(|(_, remaining, _)| *remaining)
            .collect::<Vec<_>>()
    };
    for (amount, expected) in [
        (4, [10, 10, 10, 10, 10, 6]),
        (10, [6, 10, 10, 10, 10, 0]),
        (10, [0, 10, 10, 10, 6, 0]),
        (10, [0, 10, 10, 6, 0, 0]),
        (10, [0, 10, 6, 0, 0, 0]),
        (10, [0, 6, 0, 0, 0, 0]),
        (6, [0, 0, 0, 0, 0, 0]),
    ] {
        spend(&ada, amount).await.expect(200);
        assert_eq!(remaining().await, expected);
    }
    ledger.finish().await;
}

#[tokio::test]
async fn one_charge_over_two_lots_is_one_transaction() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.add_lot(&ada, "gift", 100, None).await;
    let answer = spend(&ada, 200).await.expect(200);
    assert_eq!(answer.body["transaction"]["amount"], -200);
    assert_eq!(
        ledger.lots(&ada).await,
        [("signup".into(), 0, 0), ("gift".into(), 50, 0)]
    );
    ledger.finish().await;
}

#[tokio::test]
async fn a_lot_can_be_spent_until_the_instant_it_expires() {
    let ledger =
        Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 10, Some(Duration::seconds(60)))
        .await;
    ledger
        .advance(Duration::seconds(60) - Duration::microseconds(1))
        .await;
    assert_eq!(spend(&ada, 4).await.expect(200).body["balance"], 6);
    ledger.advance(Duration::microseconds(1)).await;
    let refused = spend(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(refused.body["balance"], 0);
    assert_eq!(ledger.lots(&ada).await, [("gift".into(), 0, 0)]);
    ledger.finish().await;
}

#[tokio::test]
async fn a_lapsed_lot_cannot_be_spent_even_if_its_lapse_was_not_written_down() {
    let ledger =
        Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await;
    let ada = ledger.user("ada").await;
    ledger
        .add_lot(&ada, "gift", 10, Some(Duration::seconds(60)))
        .await;
    let late = "update credits.accounts set lapse_due_at = 'infinity'";
    ledger.run(sqlx::query(late)).await;
    ledger.advance(Duration::seconds(60)).await;
    assert_eq!(balance(&ada).await, 0);
    spend(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    let due = "update credits.accounts set lapse_due_at = auth.clock()";
    ledger.run(sqlx::query(due)).await;
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(ledger.lots(&ada).await, [("gift".into(), 0, 0)]);
    ledger.finish().await;
}

#[tokio::test]
async fn a_frozen_account_spends_nothing_and_still_repeats_its_answers() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let first = spend_once(&ada, 10, "k").await.expect(200);
    ledger.freeze(&ada, "dispute:1").await;
    ledger.freeze(&ada, "dispute:2").await;
    spend(&ada, 1).await.expect_problem(403, "account_frozen");
    spend_once(&ada, 1, "new")
        .await
        .expect_problem(403, "account_frozen");
    let again = spend_once(&ada, 10, "k").await.expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.text),
        ("true", &first.text)
    );
    ledger.lift(&ada, "dispute:1").await;
    spend(&ada, 1).await.expect_problem(403, "account_frozen");
    ledger.lift(&ada, "dispute:2").await;
    spend_once(&ada, 1, "new").await.expect(200);
    ledger.finish().await;
}

#[tokio::test]
async fn a_user_without_an_account_is_404() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    // As a user brought in from elsewhere: rows of the ledger cannot be deleted.
    ledger
        .run(sqlx::query(
            "update credits.accounts set user_id = null, organization_id = 'elsewhere'",
        ))
        .await;
    spend(&ada, 1).await.expect_problem(404, "not_found");
    ada.get(super::ledger::BALANCE)
        .await
        .expect_problem(404, "not_found");
    ledger.finish().await;
}

#[tokio::test]
async fn without_a_token_nothing_of_the_ledger_answers() {
    let app = TestApp::start().await;
    let anon = app.anon();
    spend(&anon, 1).await.expect_problem(401, "missing_token");
    for path in ["balance", "transactions", "packages", "purchases"] {
        anon.get(&format!("/api/v1/credits/{path}"))
            .await
            .expect_problem(401, "missing_token");
    }
    for path in ["holds", "holds/x/capture", "holds/x/release"] {
        anon.post(&format!("/api/v1/credits/{path}"), json!({}))
            .await
            .expect_problem(401, "missing_token");
    }
}
