//! How much an app may take in a day or a month.

use serde_json::{Value, json};
use time::Duration;

use super::Ledger;
use super::ledger::{HOLDS, USE, balance, capture, held, hold, release, rfc3339, spend_once};
use crate::support::{Actor, Answer};

const LIMITS: &str = "/api/v1/credits/spend-limits";

/// Plenty to spend, nothing daily.
async fn start() -> Ledger {
    Ledger::start_with(&[
        ("CREDITS_SIGNUP_BONUS", "10000"),
        ("CREDITS_DAILY_FREE", "0"),
    ])
    .await
}

async fn spend(user: &Actor<'_>, amount: i64, app_id: &str) -> Answer {
    let body = json!({"amount": amount, "appId": app_id, "description": "work"});
    user.post(USE, body).await
}

async fn limit(user: &Actor<'_>, app_id: &str, limits: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let path = format!("{LIMITS}/{app_id}");
    user.call(
        poem::http::Method::PUT,
        &path,
        &headers,
        Some(limits.to_string()),
    )
    .await
}

/// An app with limits of its own, for everybody.
async fn app_limits(ledger: &Ledger, app_id: &str, day: Option<i64>, month: Option<i64>) {
    ledger
        .run(
            sqlx::query(
                "insert into auth.apps (id, name, spend_limit_day, spend_limit_month, created_at, updated_at)
                 values ($1, $1, $2, $3, auth.clock(), auth.clock())
                 on conflict (id) do update set spend_limit_day = $2, spend_limit_month = $3",
            )
            .bind(app_id.to_owned())
            .bind(day)
            .bind(month),
        )
        .await;
}

#[track_caller]
fn expect_limit(answer: Answer, period: &str, limit: i64, used: i64, resets_at: &str) {
    let problem = answer.expect_problem(403, "spend_limit_reached");
    let expected = json!({"period": period, "limit": limit, "used": used, "resetsAt": resets_at});
    assert_eq!(problem.body["spendLimit"], expected);
}

async fn used(user: &Actor<'_>, app_id: &str) -> (i64, i64) {
    let view = user
        .get(&format!("{LIMITS}/{app_id}"))
        .await
        .expect(200)
        .body;
    let used = |period: &str| view[period]["used"].as_i64().expect("a number");
    (used("day"), used("month"))
}

#[tokio::test]
async fn day_limit_binds_to_the_last_credit() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"day": 100})).await.expect(200);
    spend(&ada, 60, "a").await.expect(200);
    expect_limit(
        spend(&ada, 41, "a").await,
        "day",
        100,
        60,
        "2026-03-02T00:00:00Z",
    );
    spend(&ada, 40, "a").await.expect(200);
    expect_limit(
        spend(&ada, 1, "a").await,
        "day",
        100,
        100,
        "2026-03-02T00:00:00Z",
    );
    spend(&ada, 500, "b").await.expect(200);
    assert_eq!(balance(&ada).await, 10_000 - 600);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn day_begins_anew_at_midnight_and_month_with_the_month() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"day": 100, "month": 150}))
        .await
        .expect(200);
    spend(&ada, 100, "a").await.expect(200);
    let ada = ledger
        .advance_with(Duration::hours(12) - Duration::microseconds(1), &ada)
        .await;
    expect_limit(
        spend(&ada, 1, "a").await,
        "day",
        100,
        100,
        "2026-03-02T00:00:00Z",
    );
    let ada = ledger.advance_with(Duration::microseconds(1), &ada).await;
    spend(&ada, 50, "a").await.expect(200);
    expect_limit(
        spend(&ada, 1, "a").await,
        "month",
        150,
        150,
        "2026-04-01T00:00:00Z",
    );
    let ada = ledger
        .advance_with(Duration::days(30) - Duration::microseconds(1), &ada)
        .await;
    expect_limit(
        spend(&ada, 1, "a").await,
        "month",
        150,
        150,
        "2026-04-01T00:00:00Z",
    );
    let ada = ledger.advance_with(Duration::microseconds(1), &ada).await;
    spend(&ada, 100, "a").await.expect(200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn limit_of_the_app_is_for_everybody() {
    let ledger = start().await;
    app_limits(&ledger, "a", Some(100), None).await;
    for name in ["ada", "bob"] {
        let user = ledger.user(name).await;
        spend(&user, 100, "a").await.expect(200);
        expect_limit(
            spend(&user, 1, "a").await,
            "day",
            100,
            100,
            "2026-03-02T00:00:00Z",
        );
    }
    ledger.finish().await;
}

#[tokio::test]
async fn user_lowers_the_limit_and_never_raises_it() {
    let ledger = start().await;
    app_limits(&ledger, "a", Some(100), None).await;
    let ada = ledger.user("ada").await;
    let view = limit(&ada, "a", json!({"day": 500})).await.expect(200).body;
    assert_eq!(view["day"]["limit"], 100);
    assert_eq!(
        (&view["day"]["setByUser"], &view["day"]["setByApp"]),
        (&json!(500), &json!(100))
    );
    expect_limit(
        spend(&ada, 101, "a").await,
        "day",
        100,
        0,
        "2026-03-02T00:00:00Z",
    );
    limit(&ada, "a", json!({"day": 20})).await.expect(200);
    expect_limit(
        spend(&ada, 21, "a").await,
        "day",
        20,
        0,
        "2026-03-02T00:00:00Z",
    );
    limit(&ada, "a", json!({})).await.expect(200);
    spend(&ada, 100, "a").await.expect(200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn limit_of_an_admin_stands_in_place_of_the_apps() {
    let ledger = start().await;
    app_limits(&ledger, "a", Some(100), None).await;
    let ada = ledger.user("ada").await;
    let admin = ledger.admin("root").await;
    let path = format!("/api/v1/admin/users/{}/credits/spend-limits/a", ada.id);
    let headers = [("content-type", "application/json")];
    let put = |body: Value| {
        admin.call(
            poem::http::Method::PUT,
            &path,
            &headers,
            Some(body.to_string()),
        )
    };
    let view = put(json!({"day": 300})).await.expect(200).body;
    assert_eq!(
        (&view["day"]["limit"], &view["day"]["setByAdmin"]),
        (&json!(300), &json!(300))
    );
    spend(&ada, 300, "a").await.expect(200);
    put(json!({"day": 0})).await.expect(200);
    expect_limit(
        spend(&ada, 1, "a").await,
        "day",
        0,
        300,
        "2026-03-02T00:00:00Z",
    );
    put(json!({})).await.expect(200);
    let view = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&view["day"]["limit"], &view["day"]["used"]),
        (&json!(100), &json!(300))
    );
    expect_limit(
        spend(&ada, 1, "a").await,
        "day",
        100,
        300,
        "2026-03-02T00:00:00Z",
    );
    let events: i64 = ledger
        .db
        .value("select count(*) from auth.security_events where kind = 'spend_limits_set'")
        .await;
    assert_eq!(events, 3);
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn what_was_spent_before_the_limit_counts() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    spend(&ada, 80, "a").await.expect(200);
    let id = held(&ada, 30).await;
    capture(&ada, &id, "c1", json!({"amount": 10, "final": true}))
        .await
        .expect(200);
    limit(&ada, "a", json!({"day": 100})).await.expect(200);
    limit(&ada, "test", json!({"day": 100})).await.expect(200);
    assert_eq!(used(&ada, "a").await, (80, 80));
    assert_eq!(used(&ada, "test").await, (10, 10));
    expect_limit(
        spend(&ada, 21, "a").await,
        "day",
        100,
        80,
        "2026-03-02T00:00:00Z",
    );
    app_limits(&ledger, "b", None, None).await;
    spend(&ada, 70, "b").await.expect(200);
    app_limits(&ledger, "b", Some(100), None).await;
    expect_limit(
        spend(&ada, 31, "b").await,
        "day",
        100,
        70,
        "2026-03-02T00:00:00Z",
    );
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn what_was_spent_while_a_limit_was_off_counts_when_it_is_on_again() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    app_limits(&ledger, "a", Some(100), None).await;
    spend(&ada, 10, "a").await.expect(200);
    app_limits(&ledger, "a", None, None).await;
    spend(&ada, 50, "a").await.expect(200);
    app_limits(&ledger, "a", Some(100), None).await;
    expect_limit(
        spend(&ada, 41, "a").await,
        "day",
        100,
        60,
        "2026-03-02T00:00:00Z",
    );
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn hold_counts_and_what_is_released_returns() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "test", json!({"day": 100})).await.expect(200);
    let first = held(&ada, 60).await;
    expect_limit(hold(&ada, 41).await, "day", 100, 60, "2026-03-02T00:00:00Z");
    let second = held(&ada, 40).await;
    release(&ada, &second, "r").await.expect(200);
    assert_eq!(used(&ada, "test").await.0, 60);
    capture(&ada, &first, "c1", json!({"amount": 10}))
        .await
        .expect(200);
    assert_eq!(used(&ada, "test").await.0, 60);
    capture(&ada, &first, "c2", json!({"amount": 5, "final": true}))
        .await
        .expect(200);
    assert_eq!(used(&ada, "test").await.0, 15);
    let third = held(&ada, 85).await;
    ledger.advance(Duration::seconds(300)).await;
    // The third has ended by itself.
    spend(&ada, 85, "test").await.expect(200);
    release(&ada, &third, "r2")
        .await
        .expect_problem(409, "conflict");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn hold_counts_in_the_day_it_was_placed() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "test", json!({"day": 100, "month": 1000}))
        .await
        .expect(200);
    let ada = ledger
        .advance_with(Duration::hours(12) - Duration::SECOND, &ada)
        .await;
    let id = held(&ada, 90).await;
    let ada = ledger.advance_with(Duration::minutes(1), &ada).await;
    let today = held(&ada, 90).await;
    capture(&ada, &id, "c", json!({"amount": 1, "final": true}))
        .await
        .expect(200);
    assert_eq!(used(&ada, "test").await, (90, 91));
    release(&ada, &today, "r").await.expect(200);
    assert_eq!(used(&ada, "test").await, (0, 1));
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn refusal_does_not_use_up_the_key() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "test", json!({"day": 10})).await.expect(200);
    spend_once(&ada, 11, "k")
        .await
        .expect_problem(403, "spend_limit_reached");
    let n_before = ledger.n_entries().await;
    spend_once(&ada, 11, "k")
        .await
        .expect_problem(403, "spend_limit_reached");
    assert_eq!(ledger.n_entries().await, n_before);
    limit(&ada, "test", json!({})).await.expect(200);
    spend_once(&ada, 11, "k").await.expect(200);
    // A repeated request gets its answer whatever the limit is by then.
    limit(&ada, "test", json!({"day": 0})).await.expect(200);
    let again = spend_once(&ada, 11, "k").await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn want_of_credits_is_told_before_a_limit() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"day": 1})).await.expect(200);
    spend(&ada, 10_001, "a")
        .await
        .expect_problem(402, "insufficient_credits");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn parallel_requests_do_not_slip_under_a_limit() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"day": 50})).await.expect(200);
    let tries = (0..20).map(|_| spend(&ada, 10, "a"));
    let answers = futures_util::future::join_all(tries).await;
    let spent = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(spent, 5);
    assert_eq!(used(&ada, "a").await.0, 50);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn list_names_every_app_with_a_limit_or_a_count() {
    let ledger = start().await;
    app_limits(&ledger, "b", Some(5), None).await;
    app_limits(&ledger, "never-used", Some(5), None).await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"month": 7})).await.expect(200);
    spend(&ada, 5, "b").await.expect(200);
    let listed = ada.get(LIMITS).await.expect(200).body;
    let expected = json!([
        {"appId": "a",
         "day": {"limit": null, "used": 0, "resetsAt": "2026-03-02T00:00:00Z", "setByUser": null, "setByAdmin": null, "setByApp": null},
         "month": {"limit": 7, "used": 0, "resetsAt": "2026-04-01T00:00:00Z", "setByUser": 7, "setByAdmin": null, "setByApp": null}},
        {"appId": "b",
         "day": {"limit": 5, "used": 5, "resetsAt": "2026-03-02T00:00:00Z", "setByUser": null, "setByAdmin": null, "setByApp": 5},
         "month": {"limit": null, "used": 5, "resetsAt": "2026-04-01T00:00:00Z", "setByUser": null, "setByAdmin": null, "setByApp": null}},
    ]);
    assert_eq!(listed, expected);
    let bob = ledger.user("bob").await;
    assert_eq!(bob.get(LIMITS).await.expect(200).body, json!([]));
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn a_hundred_apps_may_have_limits() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    for i in 0..100 {
        limit(&ada, &format!("app{i}"), json!({"day": 1, "month": 1}))
            .await
            .expect(200);
    }
    limit(&ada, "another", json!({"day": 1}))
        .await
        .expect_problem(409, "conflict");
    limit(&ada, "app7", json!({"day": 2})).await.expect(200);
    limit(&ada, "app7", json!({})).await.expect(200);
    limit(&ada, "another", json!({"day": 1})).await.expect(200);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn bad_input_and_strangers_are_refused() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    for bad in [
        json!(-1),
        json!(1.5),
        json!("5"),
        json!(1_000_000_000_001_i64),
    ] {
        limit(&ada, "a", json!({ "day": bad }))
            .await
            .expect_invalid(&["day"]);
    }
    limit(&ada, "a", json!({"week": 1}))
        .await
        .expect_invalid(&["week"]);
    limit(&ada, &"a".repeat(65), json!({"day": 1}))
        .await
        .expect_problem(404, "not_found");
    limit(&ledger.anon(), "a", json!({"day": 1}))
        .await
        .expect_problem(401, "missing_token");
    let path = format!("/api/v1/admin/users/{}/credits/spend-limits/a", ada.id);
    ada.get(&path).await.expect_problem(403, "forbidden");
    let admin = ledger.admin("root").await;
    let nobody = "/api/v1/admin/users/nobody/credits/spend-limits/a";
    admin.get(nobody).await.expect_problem(404, "not_found");
    ledger.advance(Duration::minutes(10)).await;
    admin.get(&path).await.expect(200);
    let headers = [("content-type", "application/json")];
    admin
        .call(poem::http::Method::PUT, &path, &headers, Some("{}".into()))
        .await
        .expect_problem(403, "reauthentication_required");
    drop((ada, admin));
    ledger.finish().await;
}

#[tokio::test]
async fn hold_over_a_limit_says_which() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    limit(&ada, "a", json!({"month": 5})).await.expect(200);
    let body = json!({"amount": 6, "appId": "a", "idempotencyKey": "k"});
    let answer = ada.post(HOLDS, body.clone()).await;
    expect_limit(
        answer,
        "month",
        5,
        0,
        &rfc3339(time::macros::datetime!(2026-04-01 00:00 UTC)),
    );
    limit(&ada, "a", json!({})).await.expect(200);
    ada.post(HOLDS, body).await.expect(201);
    drop(ada);
    ledger.finish().await;
}
