//! What admins add, take and give back.

use serde_json::{Value, json};
use time::Duration;

use super::Ledger;
use super::ledger::{
    BALANCE, TRANSACTIONS, balance, buy, capture, held, rfc3339, spend, spend_once,
};
use crate::support::{Actor, Answer};

async fn start() -> Ledger {
    Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")]).await
}

async fn adjust(
    admin: &Actor<'_>,
    user: &Actor<'_>,
    amount: i64,
    key: &str,
    more: Value,
) -> Answer {
    let mut body = json!({"amount": amount, "reason": "goodwill", "idempotencyKey": key});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let path = format!("/api/v1/admin/users/{}/credits/adjust", user.id);
    admin.post(&path, body).await
}

async fn refund(admin: &Actor<'_>, user: &Actor<'_>, transaction: &str, more: Value) -> Answer {
    let mut body = json!({"transactionId": transaction, "reason": "did not work"});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let path = format!("/api/v1/admin/users/{}/credits/refund", user.id);
    admin.post(&path, body).await
}

fn transaction(answer: &Answer) -> String {
    let id = answer.body["transaction"]["id"].as_str();
    id.expect("an id").to_owned()
}

#[tokio::test]
async fn adjustment_adds_with_a_reason_and_an_event() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    let answer = adjust(&admin, &ada, 70, "k", json!({})).await.expect(200);
    assert_eq!(answer.body["balance"], 70);
    assert_eq!(answer.body["transaction"]["type"], "adjustment");
    assert_eq!(answer.body["transaction"]["amount"], 70);
    let newest = &ada.get(TRANSACTIONS).await.expect(200).body[0];
    assert_eq!(newest["description"], "goodwill");
    assert_eq!(ledger.lots(&ada).await, [("refund".into(), 70, 0)]);
    let (actor, user): (String, String) = sqlx::query_as(
        "select actor_id, user_id from auth.security_events where kind = 'credits_adjusted'",
    )
    .fetch_one(&ledger.db.owner)
    .await
    .expect("an event");
    assert_eq!((actor, user), (admin.id.clone(), ada.id.clone()));
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn promotion_lapses_and_is_spent_first() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    let expires_at = rfc3339(ledger.app.clock.now() + Duration::days(3));
    adjust(&admin, &ada, 50, "k", json!({ "expiresAt": expires_at }))
        .await
        .expect(200);
    let view = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&view["balance"], &view["freeCreditsRemaining"]),
        (&json!(150), &json!(50))
    );
    spend(&ada, 10).await.expect(200);
    let ada = ledger.advance_with(Duration::days(3), &ada).await;
    assert_eq!(balance(&ada).await, 100);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn adjustment_takes_in_the_order_of_spending_and_no_more_than_there_is() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    ledger.add_lot(&ada, "gift", 50, None).await;
    held(&ada, 10).await;
    let answer = adjust(&admin, &ada, -60, "k", json!({})).await.expect(200);
    assert_eq!(answer.body["transaction"]["amount"], -60);
    assert_eq!(answer.body["balance"], 80);
    assert_eq!(
        ledger.lots(&ada).await,
        [("purchase".into(), 80, 0), ("gift".into(), 10, 10)]
    );
    let problem = adjust(&admin, &ada, -81, "k2", json!({}))
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!(problem.body["balance"], 80);
    adjust(&admin, &ada, -80, "k2", json!({})).await.expect(200);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn repeated_key_adjusts_once() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    let first = adjust(&admin, &ada, 70, "k", json!({})).await.expect(200);
    let again = adjust(&admin, &ada, 70, "k", json!({})).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.body, again.body);
    for (amount, more) in [
        (71, json!({})),
        (-70, json!({})),
        (70, json!({"reason": "other"})),
    ] {
        adjust(&admin, &ada, amount, "k", more)
            .await
            .expect_problem(422, "idempotency_key_reused");
    }
    assert_eq!(balance(&ada).await, 70);
    // Admins have key spaces of their own, and so has the user.
    let other = ledger.admin("other").await;
    adjust(&other, &ada, 1, "k", json!({})).await.expect(200);
    spend_once(&ada, 1, "k").await.expect(200);
    drop((ada, admin, other));
    ledger.finish().await;
}

#[tokio::test]
async fn full_account_and_too_many_lots_are_told() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    ledger.fill(&ada, 10).await;
    adjust(&admin, &ada, 11, "k", json!({}))
        .await
        .expect_problem(409, "conflict");
    adjust(&admin, &ada, 10, "k", json!({})).await.expect(200);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn adjustment_repays_a_debt_first() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    ledger.owe(&ada, 30).await;
    let answer = adjust(&admin, &ada, 50, "k", json!({})).await.expect(200);
    assert_eq!(answer.body["balance"], 20);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn bad_adjustments_are_named() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    let path = format!("/api/v1/admin/users/{}/credits/adjust", ada.id);
    let past = rfc3339(ledger.app.clock.now());
    let later = rfc3339(ledger.app.clock.now() + Duration::DAY);
    for (field, value) in [
        ("amount", json!(0)),
        ("amount", json!(1_000_000_000_001_i64)),
        ("amount", json!(-1_000_000_000_001_i64)),
        ("amount", json!(1.5)),
        ("amount", json!(i64::MIN)),
        ("reason", json!("")),
        ("reason", json!("r".repeat(501))),
        ("expiresAt", json!(past)),
        ("idempotencyKey", json!("a b")),
        ("kind", json!("gift")),
    ] {
        let mut body = json!({"amount": 5, "reason": "r", "idempotencyKey": "k"});
        body[field] = value.clone();
        admin.post(&path, body).await.expect_invalid(&[field]);
    }
    let taken = json!({"amount": -5, "reason": "r", "idempotencyKey": "k", "expiresAt": later});
    admin
        .post(&path, taken)
        .await
        .expect_invalid(&["expiresAt"]);
    let keyless = json!({"amount": 5, "reason": "r"});
    admin
        .post(&path, keyless)
        .await
        .expect_invalid(&["idempotencyKey"]);
    assert_eq!(balance(&ada).await, 0);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn only_an_admin_who_signed_in_lately_may() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    adjust(&ada, &ada, 5, "k", json!({}))
        .await
        .expect_problem(403, "forbidden");
    adjust(&ledger.anon(), &ada, 5, "k", json!({}))
        .await
        .expect_problem(401, "missing_token");
    let mut nobody = ada.clone();
    nobody.id = "nobody".into();
    adjust(&admin, &nobody, 5, "k", json!({}))
        .await
        .expect_problem(404, "not_found");
    ledger.advance(Duration::minutes(10)).await;
    adjust(&admin, &ada, 5, "k", json!({}))
        .await
        .expect_problem(403, "reauthentication_required");
    refund(&admin, &ada, "0000000000000001-1", json!({}))
        .await
        .expect_problem(403, "reauthentication_required");
    assert_eq!(balance(&ada).await, 0);
    drop((ada, admin, nobody));
    ledger.finish().await;
}

#[tokio::test]
async fn refund_goes_back_to_the_lots_it_came_from() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    ledger.add_lot(&ada, "gift", 30, None).await;
    buy(&ledger, &ada, "p1", 100, None).await;
    let charge = transaction(&spend(&ada, 80).await.expect(200));
    // What was paid for comes back first.
    let first = refund(&admin, &ada, &charge, json!({"amount": 40}))
        .await
        .expect(200);
    assert_eq!(first.body["transaction"]["amount"], 40);
    assert_eq!(first.body["transaction"]["type"], "refund");
    assert_eq!(first.body["transaction"]["appId"], "test");
    assert_eq!(
        ledger.lots(&ada).await,
        [("gift".into(), 0, 0), ("purchase".into(), 90, 0)]
    );
    refund(&admin, &ada, &charge, json!({"amount": 20}))
        .await
        .expect(200);
    assert_eq!(
        ledger.lots(&ada).await,
        [("gift".into(), 10, 0), ("purchase".into(), 100, 0)]
    );
    let view = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&view["totalSpent"], &view["totalEarned"]),
        (&json!(20), &json!(130))
    );
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn refunds_together_are_at_most_the_charge() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    let charge = transaction(&spend(&ada, 80).await.expect(200));
    refund(&admin, &ada, &charge, json!({"amount": 81}))
        .await
        .expect_invalid(&["amount"]);
    refund(&admin, &ada, &charge, json!({"amount": 50}))
        .await
        .expect(200);
    let problem = refund(&admin, &ada, &charge, json!({"amount": 31}))
        .await
        .expect_invalid(&["amount"]);
    assert!(problem.text.contains("at most 30"), "{}", problem.text);
    refund(&admin, &ada, &charge, json!({})).await.expect(200);
    assert_eq!(balance(&ada).await, 100);
    for more in [json!({}), json!({"amount": 1})] {
        refund(&admin, &ada, &charge, more)
            .await
            .expect_problem(409, "conflict");
    }
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn parallel_refunds_are_at_most_the_charge() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    let charge = transaction(&spend(&ada, 50).await.expect(200));
    let tries = (0..10).map(|_| refund(&admin, &ada, &charge, json!({"amount": 10})));
    let answers = futures_util::future::join_all(tries).await;
    let refunded = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(refunded, 5);
    assert_eq!(balance(&ada).await, 100);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn repeated_key_refunds_once() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    let charge = transaction(&spend(&ada, 50).await.expect(200));
    let once = json!({"amount": 10, "idempotencyKey": "k"});
    let first = refund(&admin, &ada, &charge, once.clone())
        .await
        .expect(200);
    let again = refund(&admin, &ada, &charge, once).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.body, again.body);
    refund(
        &admin,
        &ada,
        &charge,
        json!({"amount": 11, "idempotencyKey": "k"}),
    )
    .await
    .expect_problem(422, "idempotency_key_reused");
    adjust(&admin, &ada, 10, "k", json!({}))
        .await
        .expect_problem(422, "idempotency_key_reused");
    assert_eq!(balance(&ada).await, 60);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn captures_can_be_refunded() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 100, None).await;
    let id = held(&ada, 60).await;
    let first = capture(&ada, &id, "c1", json!({"amount": 20}))
        .await
        .expect(200);
    refund(&admin, &ada, &transaction(&first), json!({}))
        .await
        .expect(200);
    let last = capture(&ada, &id, "c2", json!({"amount": 30, "final": true}))
        .await
        .expect(200);
    refund(&admin, &ada, &transaction(&last), json!({"amount": 5}))
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 75);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn refund_into_a_lapsed_lot_lasts_as_long_again() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    ledger
        .add_lot(&ada, "gift", 30, Some(Duration::days(10)))
        .await;
    buy(&ledger, &ada, "p1", 100, None).await;
    let ada = ledger.advance_with(Duration::days(6), &ada).await;
    let charge = transaction(&spend(&ada, 50).await.expect(200));
    let ada = ledger.advance_with(Duration::days(5), &ada).await;
    let admin = admin.login(&admin.email, json!({})).await;
    refund(&admin, &ada, &charge, json!({})).await.expect(200);
    let lots = ledger.lots(&ada).await;
    assert_eq!(
        lots,
        [
            ("gift".into(), 0, 0),
            ("purchase".into(), 100, 0),
            ("refund".into(), 30, 0)
        ]
    );
    // Four days were left when it was charged.
    let ada = ledger
        .advance_with(Duration::days(4) - Duration::microseconds(1), &ada)
        .await;
    assert_eq!(balance(&ada).await, 130);
    let ada = ledger.advance_with(Duration::microseconds(1), &ada).await;
    assert_eq!(balance(&ada).await, 100);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn refund_into_a_lapsed_lot_lasts_a_day_at_least() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    ledger
        .add_lot(&ada, "gift", 30, Some(Duration::hours(1)))
        .await;
    let charge = transaction(&spend(&ada, 30).await.expect(200));
    let ada = ledger.advance_with(Duration::days(5), &ada).await;
    let admin = admin.login(&admin.email, json!({})).await;
    refund(&admin, &ada, &charge, json!({})).await.expect(200);
    let ada = ledger
        .advance_with(Duration::days(1) - Duration::microseconds(1), &ada)
        .await;
    assert_eq!(balance(&ada).await, 30);
    let ada = ledger.advance_with(Duration::microseconds(1), &ada).await;
    assert_eq!(balance(&ada).await, 0);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn only_charges_of_that_user_can_be_refunded() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    let bob = ledger.user("bob").await;
    buy(&ledger, &ada, "p1", 100, None).await;
    let charge = transaction(&spend(&ada, 50).await.expect(200));
    refund(&admin, &bob, &charge, json!({}))
        .await
        .expect_problem(404, "not_found");
    let purchase = ada.get(TRANSACTIONS).await.expect(200).body[1]["id"].clone();
    let purchase = purchase.as_str().expect("an id").to_owned();
    let beyond = charge.replace("-2", "-99");
    for id in [purchase.as_str(), &beyond, "nonsense", "0000000000000000-1"] {
        refund(&admin, &ada, id, json!({}))
            .await
            .expect_problem(404, "not_found");
    }
    let mine = refund(&admin, &ada, &charge, json!({})).await.expect(200);
    refund(&admin, &ada, &transaction(&mine), json!({}))
        .await
        .expect_problem(404, "not_found");
    for bad in [json!(0), json!(-1), json!("1")] {
        refund(&admin, &ada, &charge, json!({ "amount": bad }))
            .await
            .expect_invalid(&["amount"]);
    }
    drop((ada, bob, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn refund_of_today_stops_counting_towards_a_limit() {
    let ledger = start().await;
    let (ada, admin) = (ledger.user("ada").await, ledger.admin("root").await);
    buy(&ledger, &ada, "p1", 300, None).await;
    let headers = [("content-type", "application/json")];
    let limits = Some(json!({"day": 100, "month": 1000}).to_string());
    let path = "/api/v1/credits/spend-limits/test";
    ada.call(poem::http::Method::PUT, path, &headers, limits)
        .await
        .expect(200);
    let charge = transaction(&spend(&ada, 100).await.expect(200));
    refund(&admin, &ada, &charge, json!({"amount": 30}))
        .await
        .expect(200);
    spend(&ada, 30).await.expect(200);
    spend(&ada, 1)
        .await
        .expect_problem(403, "spend_limit_reached");
    let ada = ledger.advance_with(Duration::days(1), &ada).await;
    let admin = admin.login(&admin.email, json!({})).await;
    spend(&ada, 50).await.expect(200);
    // What counted yesterday does not count less today.
    refund(&admin, &ada, &charge, json!({"amount": 70}))
        .await
        .expect(200);
    spend(&ada, 51)
        .await
        .expect_problem(403, "spend_limit_reached");
    let month = &ada.get(path).await.expect(200).body["month"]["used"];
    assert_eq!(month, &json!(80));
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn operator_corrects_from_the_command_line() {
    use issuer::credits::{Correction, TransactionId, corrections_operator as operator};
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    let mut owner = ledger.db.owner.acquire().await.expect("a connection");
    sqlx::query("set role tollgate_owner")
        .execute(&mut *owner)
        .await
        .expect("may");
    let adjustment = Correction::adjust(50, "sorry".into(), None, "k".into()).expect("right");
    for replayed in [false, true] {
        let corrected = operator::correct(&mut owner, &ada.id, &adjustment).await;
        assert_eq!(corrected.expect("done").replayed, replayed);
    }
    let charge = transaction(&spend(&ada, 20).await.expect(200));
    let charge = TransactionId::parse(&charge).expect("an id");
    let refund = Correction::refund(charge, None, "sorry".into(), None).expect("right");
    operator::correct(&mut owner, &ada.id, &refund)
        .await
        .expect("done");
    assert!(
        operator::correct(&mut owner, &ada.id, &refund)
            .await
            .is_err()
    );
    assert!(Correction::adjust(0, "r".into(), None, "k".into()).is_err());
    assert!(Correction::adjust(1, String::new(), None, "k".into()).is_err());
    assert!(Correction::refund(charge, Some(0), "r".into(), None).is_err());
    drop(owner);
    assert_eq!(balance(&ada).await, 50);
    drop(ada);
    ledger.finish().await;
}
