use serde_json::{Value, json};
use time::Duration;

use super::Ledger;
use super::ledger::{TRANSACTIONS, balance, capture, held, release, rfc3339, spend, spend_once};
use crate::support::Actor;

async fn page(user: &Actor<'_>, query: &str) -> (Vec<Value>, String) {
    let answer = user
        .get(&format!("{TRANSACTIONS}{query}"))
        .await
        .expect(200);
    let link = answer.header("link").to_owned();
    (answer.body.as_array().expect("an array").clone(), link)
}

fn amounts(transactions: &[Value]) -> Vec<i64> {
    transactions
        .iter()
        .map(|t| t["amount"].as_i64().expect("a whole number"))
        .collect()
}

/// The target of a `Link` header with `rel="next"`, without the path.
fn next(link: &str) -> &str {
    let target = link
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    target
        .and_then(|target| target.strip_prefix(TRANSACTIONS))
        .unwrap_or_else(|| panic!("no next page in {link:?}"))
}

#[tokio::test]
async fn transactions_are_listed_newest_first_and_each_continues_the_one_before() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    spend(&ada, 10).await.expect(200);
    let id = held(&ada, 20).await;
    spend(&ada, 5).await.expect(200);
    capture(&ada, &id, "c", json!({"amount": 7}))
        .await
        .expect(200);
    let (all, link) = page(&ada, "").await;
    assert_eq!(amounts(&all), [-7, -5, -10, 150]);
    let after: Vec<i64> = all
        .iter()
        .map(|t| t["balanceAfter"].as_i64().expect("a number"))
        .collect();
    assert_eq!(after, [128, 135, 140, 150]);
    let start = rfc3339(ledger.app.clock.now());
    let bonus = json!({
        "id": all[3]["id"], "type": "bonus", "amount": 150, "balanceAfter": 150, "appId": null,
        "description": null, "metadata": null, "createdAt": start,
    });
    assert_eq!(all[3], bonus);
    assert_eq!(link, "");
    ledger.finish().await;
}

#[tokio::test]
async fn declines_and_what_only_holds_are_not_listed() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    spend_once(&ada, 1000, "k").await.expect(402);
    let (one, two) = (held(&ada, 20).await, held(&ada, 20).await);
    release(&ada, &one, "r").await.expect(200);
    let ada = ledger.advance_with(Duration::hours(1), &ada).await;
    assert_eq!(balance(&ada).await, 150);
    capture(&ada, &two, "late", json!({}))
        .await
        .expect_problem(409, "conflict");
    assert_eq!(amounts(&page(&ada, "").await.0), [150]);
    ledger.finish().await;
}

#[tokio::test]
async fn what_time_brings_is_listed() {
    let variables = [
        ("CREDITS_SIGNUP_BONUS", "0"),
        ("CREDITS_DAILY_FREE_EXPIRES_HOURS", "24"),
    ];
    let ledger = Ledger::start_with(&variables).await;
    let ada = ledger.user("ada").await;
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    spend(&ada, 2).await.expect(200);
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    assert_eq!(balance(&ada).await, 5);
    let (all, _) = page(&ada, "").await;
    let kinds: Vec<&str> = all
        .iter()
        .map(|t| t["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(kinds, ["daily", "expiry", "usage", "daily"]);
    assert_eq!(amounts(&all), [5, -3, -2, 5]);
    ledger.finish().await;
}

#[tokio::test]
async fn pages_by_offset_and_by_cursor_cover_everything_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for amount in 1..=10 {
        spend(&ada, amount).await.expect(200);
    }
    let expected: Vec<i64> = (1..=10)
        .rev()
        .map(|amount: i64| -amount)
        .chain([150])
        .collect();
    let mut by_offset = Vec::new();
    for offset in [0, 4, 8, 12] {
        by_offset.extend(amounts(
            &page(&ada, &format!("?limit=4&offset={offset}")).await.0,
        ));
    }
    assert_eq!(by_offset, expected);
    let (first, link) = page(&ada, "?limit=4").await;
    // What arrives meanwhile does not shift the pages.
    spend(&ada, 11).await.expect(200);
    let (second, link) = page(&ada, next(&link)).await;
    let (third, link) = page(&ada, next(&link)).await;
    assert_eq!(
        [amounts(&first), amounts(&second), amounts(&third)].concat(),
        expected
    );
    assert_eq!(link, "");
    let (exact, link) = page(&ada, "?limit=12").await;
    assert_eq!((exact.len(), link.as_str()), (12, ""));
    ledger.finish().await;
}

#[tokio::test]
async fn a_page_holds_fifty_when_nothing_is_said() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for _ in 0..60 {
        spend(&ada, 1).await.expect(200);
    }
    assert_eq!(page(&ada, "").await.0.len(), 50);
    assert_eq!(page(&ada, "?limit=200").await.0.len(), 61);
    ledger.finish().await;
}

#[tokio::test]
async fn pages_of_another_form_are_422() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for (query, field) in [
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=many", "limit"),
        ("?offset=-1", "offset"),
        ("?offset=10001", "offset"),
        ("?offset=1.5", "offset"),
        ("?cursor=", "cursor"),
        ("?cursor=0", "cursor"),
        ("?cursor=-3", "cursor"),
        ("?cursor=x%00", "cursor"),
        ("?cursor=99999999999999999999", "cursor"),
    ] {
        ada.get(&format!("{TRANSACTIONS}{query}"))
            .await
            .expect_invalid(&[field]);
    }
    ledger.finish().await;
}

#[tokio::test]
async fn nobody_sees_the_transactions_of_somebody_else() {
    let ledger = Ledger::start().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    spend(&ada, 10).await.expect(200);
    assert_eq!(amounts(&page(&bob, "").await.0), [150]);
    assert_eq!(amounts(&page(&bob, "?cursor=100").await.0), [150]);
    ledger.finish().await;
}

#[tokio::test]
async fn filters_narrow_the_list_and_stay_on_the_next_page() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for amount in 1..=3 {
        spend(&ada, amount).await.expect(200);
        let other = json!({"amount": amount * 10, "appId": "other&app", "description": "d"});
        ada.post("/api/v1/credits/use", other).await.expect(200);
        ledger.advance(Duration::seconds(60)).await;
    }
    let start = ledger.app.clock.now() - Duration::seconds(180);
    let at = |minutes: i64| rfc3339(start + Duration::minutes(minutes));
    for (query, expected) in [
        ("?type=usage".to_owned(), vec![-30, -3, -20, -2, -10, -1]),
        ("?type=bonus".to_owned(), vec![150]),
        ("?type=refund".to_owned(), vec![]),
        ("?appId=test".to_owned(), vec![-3, -2, -1]),
        ("?appId=other%26app".to_owned(), vec![-30, -20, -10]),
        (format!("?from={}", at(1)), vec![-30, -3, -20, -2]),
        (format!("?to={}", at(1)), vec![-10, -1, 150]),
        (format!("?from={}&to={}", at(1), at(2)), vec![-20, -2]),
        (format!("?from={}", at(3)), vec![]),
        (format!("?to={}", at(0)), vec![]),
        (
            format!("?from={}&appId=test&type=usage", at(1)),
            vec![-3, -2],
        ),
        ("?type=usage&offset=4".to_owned(), vec![-10, -1]),
    ] {
        assert_eq!(amounts(&page(&ada, &query).await.0), expected, "{query}");
    }
    let query = format!("?limit=1&type=usage&appId=other%26app&to={}", at(3));
    let (first, link) = page(&ada, &query).await;
    let (second, link) = page(&ada, next(&link)).await;
    let (third, last) = page(&ada, next(&link)).await;
    assert_eq!(amounts(&[first, second, third].concat()), [-30, -20, -10]);
    assert_eq!(last, "");
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn bad_filters_are_refused() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for query in [
        "?type=hold",
        "?type=",
        "?appId=",
        "?appId=a%20b",
        "?from=yesterday",
        "?to=1",
    ] {
        ada.get(&format!("{TRANSACTIONS}{query}"))
            .await
            .expect_problem(422, "validation_failed");
    }
    drop(ada);
    ledger.finish().await;
}
