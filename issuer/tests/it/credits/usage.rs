//! Usage by app, day and hour: the same figures whether or not they have been summed up.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::Ledger;
use super::ledger::{BALANCE, USE, capture, held, rfc3339};
use crate::support::Actor;

const USAGE: &str = "/api/v1/credits/usage";

async fn start() -> Ledger {
    Ledger::start_with(&[
        ("CREDITS_SIGNUP_BONUS", "10000"),
        ("CREDITS_DAILY_FREE", "0"),
    ])
    .await
}

async fn spend(user: &Actor<'_>, amount: i64, app_id: &str) -> String {
    let body = json!({"amount": amount, "appId": app_id, "description": "work"});
    let answer = user.post(USE, body).await.expect(200);
    let id = answer.body["transaction"]["id"].as_str();
    id.expect("an id").to_owned()
}

async fn roll_up(ledger: &Ledger) {
    issuer::credits::roll_up_usage(&ledger.app)
        .await
        .expect("summed up");
}

/// App, start, charges, spent, refunded.
async fn usage(user: &Actor<'_>, query: &str) -> Vec<(Value, Value, i64, i64, i64)> {
    let answer = user.get(&format!("{USAGE}{query}")).await.expect(200);
    let lines = answer.body.as_array().expect("an array").iter();
    let number = |line: &Value, name: &str| line[name].as_i64().expect("a number");
    lines
        .map(|line| {
            let (app, start) = (line["appId"].clone(), line["startsAt"].clone());
            let counted = (
                number(line, "charges"),
                number(line, "spent"),
                number(line, "refunded"),
            );
            (app, start, counted.0, counted.1, counted.2)
        })
        .collect()
}

async fn refund(ledger: &Ledger, user: &Actor<'_>, transaction: &str, amount: i64) {
    let admin = ledger.admin(&format!("root{amount}")).await;
    let path = format!("/api/v1/admin/users/{}/credits/refund", user.id);
    let body = json!({"transactionId": transaction, "amount": amount, "reason": "r"});
    admin.post(&path, body).await.expect(200);
}

#[tokio::test]
async fn usage_by_app_and_day_is_the_same_at_every_stage_of_summing_up() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    let first = spend(&ada, 10, "a").await;
    spend(&ada, 5, "b").await;
    let id = held(&ada, 20).await;
    capture(&ada, &id, "c", json!({"amount": 7}))
        .await
        .expect(200);
    roll_up(&ledger).await;
    spend(&ada, 1, "a").await;
    let ada = ledger.advance_with(Duration::hours(13), &ada).await;
    refund(&ledger, &ada, &first, 4).await;
    spend(&ada, 2, "a").await;
    let (one, two) = (json!("2026-03-01T00:00:00Z"), json!("2026-03-02T00:00:00Z"));
    let expected = vec![
        (json!("a"), two, 1, 2, 4),
        (json!("a"), one.clone(), 2, 11, 0),
        (json!("b"), one.clone(), 1, 5, 0),
        (json!("test"), one, 1, 7, 0),
    ];
    assert_eq!(usage(&ada, "").await, expected);
    roll_up(&ledger).await;
    assert_eq!(usage(&ada, "?groupBy=app,day").await, expected);
    roll_up(&ledger).await;
    assert_eq!(usage(&ada, "?groupBy=app,day").await, expected);
    let spent = ada.get(BALANCE).await.expect(200).body["totalSpent"].clone();
    assert_eq!(spent, 25 - 4);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn groups_are_those_asked_for() {
    let ledger = start().await;
    let mut ada = ledger.user("ada").await;
    for (app, amount) in [("a", 1), ("b", 2), ("a", 3)] {
        spend(&ada, amount, app).await;
        ada = ledger.advance_with(Duration::minutes(40), &ada).await;
    }
    let at = |hour: i64| json!(format!("2026-03-01T{hour}:00:00Z"));
    for _ in 0..2 {
        let none = Value::Null;
        assert_eq!(
            usage(&ada, "?groupBy=app").await,
            [
                (json!("a"), none.clone(), 2, 4, 0),
                (json!("b"), none.clone(), 1, 2, 0)
            ]
        );
        let day = json!("2026-03-01T00:00:00Z");
        assert_eq!(
            usage(&ada, "?groupBy=day").await,
            [(none.clone(), day, 3, 6, 0)]
        );
        assert_eq!(
            usage(&ada, "?groupBy=hour").await,
            [
                (none.clone(), at(13), 1, 3, 0),
                (none.clone(), at(12), 2, 3, 0)
            ]
        );
        assert_eq!(
            usage(&ada, "?groupBy=app,hour").await,
            [
                (json!("a"), at(13), 1, 3, 0),
                (json!("a"), at(12), 1, 1, 0),
                (json!("b"), at(12), 1, 2, 0)
            ]
        );
        roll_up(&ledger).await;
    }
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn span_includes_its_first_hour_and_not_its_last() {
    let ledger = start().await;
    let mut ada = ledger.user("ada").await;
    for amount in [1, 2, 4] {
        spend(&ada, amount, "a").await;
        ada = ledger.advance_with(Duration::hours(1), &ada).await;
    }
    for _ in 0..2 {
        let query = "?groupBy=app&from=2026-03-01T13:00:00Z&to=2026-03-01T14:00:00Z";
        assert_eq!(
            usage(&ada, query).await,
            [(json!("a"), Value::Null, 1, 2, 0)]
        );
        // The same span in another zone.
        let query = "?groupBy=app&from=2026-03-01T15:00:00%2B02:00&to=2026-03-01T16:00:00%2B02:00";
        assert_eq!(
            usage(&ada, query).await,
            [(json!("a"), Value::Null, 1, 2, 0)]
        );
        roll_up(&ledger).await;
    }
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended() {
    let ledger = start().await;
    let mut ada = ledger.user("ada").await;
    for _ in 0..3 {
        for app in ["a", "b|c", "d"] {
            spend(&ada, 1, app).await;
        }
        ada = ledger.advance_with(Duration::days(1), &ada).await;
    }
    roll_up(&ledger).await;
    for grouping in ["app,day", "app", "day", "app,hour"] {
        let all = usage(&ada, &format!("?groupBy={grouping}")).await;
        let mut seen = Vec::new();
        let mut query = format!("?groupBy={grouping}&limit=2");
        loop {
            seen.extend(usage(&ada, &query).await);
            let answer = ada.get(&format!("{USAGE}{query}")).await.expect(200);
            let Some((_, rest)) = answer.header("link").split_once('?') else {
                break;
            };
            query = format!("?{}", rest.split_once('>').expect("a target").0);
        }
        assert_eq!(seen, all, "{grouping}");
    }
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn everybody_sees_their_own() {
    let ledger = start().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    spend(&ada, 1, "a").await;
    roll_up(&ledger).await;
    spend(&ada, 1, "a").await;
    assert_eq!(usage(&bob, "").await, []);
    ledger
        .anon()
        .get(USAGE)
        .await
        .expect_problem(401, "missing_token");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn bad_input_is_named() {
    let ledger = start().await;
    let ada = ledger.user("ada").await;
    for (query, field) in [
        ("?groupBy=week", "groupBy"),
        ("?groupBy=app,app", "groupBy"),
        ("?from=2026-03-01T12:30:00Z", "from"),
        ("?to=2026-03-01T12:00:01Z", "to"),
        ("?from=2026-03-01T12:00:00Z&to=2026-03-01T12:00:00Z", "to"),
        ("?from=2025-03-01T00:00:00Z&to=2026-03-03T00:00:00Z", "to"),
        ("?cursor=nonsense", "cursor"),
        ("?groupBy=app&cursor=MTIzfGE", "cursor"),
    ] {
        let answer = ada.get(&format!("{USAGE}{query}")).await;
        let problem = answer.expect_problem(422, "validation_failed");
        assert_eq!(problem.body["errors"][0]["field"], field, "{query}");
    }
    for query in ["?limit=0", "?limit=501", "?from=yesterday"] {
        ada.get(&format!("{USAGE}{query}"))
            .await
            .expect_problem(422, "validation_failed");
    }
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn summing_up_catches_up_and_is_done_once() {
    let ledger = start().await;
    let mut ada = ledger.user("ada").await;
    for _ in 0..30 {
        spend(&ada, 1, "a").await;
        ada = ledger.advance_with(Duration::hours(1), &ada).await;
    }
    let both = tokio::join!(roll_up(&ledger), roll_up(&ledger));
    assert_eq!(both, ((), ()));
    // A run goes a day ahead; the next one does the rest.
    roll_up(&ledger).await;
    let scanned_to: OffsetDateTime = ledger
        .db
        .value("select scanned_to from credits.usage_rollup")
        .await;
    assert_eq!(rfc3339(scanned_to), rfc3339(ledger.app.clock.now()));
    let summed: i64 = ledger
        .db
        .value("select sum(spent)::bigint from credits.usage_hours")
        .await;
    assert_eq!(summed, 30);
    assert_eq!(
        usage(&ada, "?groupBy=app").await,
        [(json!("a"), Value::Null, 30, 30, 0)]
    );
    drop(ada);
    ledger.finish().await;
}
