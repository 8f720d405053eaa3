//! Many at once, on real connections.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::json;
use time::Duration;

use super::Ledger;
use super::ledger::{HOLDS, balance, capture, held, hold, release, spend, spend_once};
use crate::support::proving;

/// As many as wait for the database at the same time.
const CLIENTS: usize = 16;

#[tokio::test]
async fn a_storm_of_repeated_keys_on_a_scarce_account_posts_exactly_what_there_is() {
    let n_calls = proving("CALLS").unwrap_or(600);
    // Each request is sent four times, and there are credits for two in three of them.
    let (n_keys, n_credits) = (n_calls / 4, n_calls / 6);
    let bonus = n_credits.to_string();
    let ledger = Ledger::start_with(&[("CREDITS_SIGNUP_BONUS", &bonus)]).await;
    let ada = ledger.user("ada").await;
    let calls = (0..n_calls).map(|i| {
        let (ada, key) = (&ada, i % n_keys);
        async move { (key, spend_once(ada, 1, &format!("k{key}")).await) }
    });
    let answers: Vec<_> = stream::iter(calls)
        .buffer_unordered(CLIENTS)
        .collect()
        .await;
    let mut posted = BTreeSet::new();
    for (key, answer) in &answers {
        match answer.status {
            200 => drop(posted.insert((*key, answer.body["transaction"]["id"].to_string()))),
            402 | 429 => {}
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert_eq!(posted.len() as u64, n_credits);
    let fresh = answers
        .iter()
        .filter(|(_, a)| a.status == 200 && a.header("idempotent-replayed").is_empty());
    assert_eq!(fresh.count() as u64, n_credits);
    assert_eq!(balance(&ada).await, 0);
    ledger.finish().await;
    println!("figure: {n_calls} calls for {n_credits} credits: exactly {n_credits} posted");
}

#[tokio::test]
async fn one_key_sent_fifty_times_at_once_is_one_charge_and_fifty_equal_answers() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let answers = join_all((0..50).map(|_| spend_once(&ada, 10, "k"))).await;
    let texts: BTreeSet<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
    assert_eq!(texts.len(), 1);
    let fresh = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(fresh.count(), 1);
    assert_eq!(balance(&ada).await, 140);
    ledger.finish().await;
}

#[tokio::test]
async fn charges_and_holds_at_once_never_take_more_than_there_is() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    ledger.add_lot(&ada, "gift", 50, None).await;
    let calls = (0..200).map(|i| {
        let ada = &ada;
        async move {
            if i % 2 == 0 {
                spend(ada, 3).await
            } else {
                hold(ada, 3).await
            }
        }
    });
    let answers: Vec<_> = stream::iter(calls)
        .buffer_unordered(CLIENTS)
        .collect()
        .await;
    let done = answers.iter().filter(|answer| answer.status < 300).count();
    assert_eq!(done, 66);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 201 | 402))
    );
    assert_eq!(balance(&ada).await, 2);
    ledger.finish().await;
}

#[tokio::test]
async fn a_hold_captured_and_released_at_once_ends_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for round in 0..10 {
        let id = held(&ada, 15).await;
        let (key, other) = (format!("c{round}"), format!("r{round}"));
        let (captured, released) = tokio::join!(
            capture(&ada, &id, &key, json!({})),
            release(&ada, &id, &other)
        );
        let mut statuses = [captured.status, released.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
    ledger.finish().await;
}

#[tokio::test]
async fn daily_credits_due_in_fifty_requests_at_once_are_added_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    let other = ledger.second(&[]).await;
    let ada = ledger.advance_with(Duration::hours(24), &ada).await;
    let there = ada.at(&other);
    let balances = join_all((0..50).map(|i| balance(if i % 2 == 0 { &ada } else { &there }))).await;
    assert!(
        balances.iter().all(|balance| *balance == 155),
        "{balances:?}"
    );
    ledger.finish().await;
}

#[tokio::test]
async fn holds_that_lapse_in_many_requests_at_once_are_released_once() {
    let ledger = Ledger::start().await;
    let ada = ledger.user("ada").await;
    for _ in 0..10 {
        held(&ada, 15).await;
    }
    ledger.advance(Duration::minutes(5)).await;
    let body = json!({"amount": 15, "appId": "a"});
    let answers = join_all((0..20).map(|_| ada.post(HOLDS, body.clone()))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        10
    );
    assert_eq!(balance(&ada).await, 0);
    ledger.finish().await;
}

#[tokio::test]
async fn spellings_of_one_address_registering_at_once_have_one_bonus() {
    let ledger = Ledger::start().await;
    let names: Vec<String> = (0..6).map(|i| format!("ada+{i}")).collect();
    let users = join_all(names.iter().map(|name| ledger.user(name))).await;
    let balances = join_all(users.iter().map(balance)).await;
    assert_eq!(balances.iter().sum::<i64>(), 150, "{balances:?}");
    ledger.finish().await;
}
