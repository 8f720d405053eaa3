//! Gifts made and received.

use serde_json::{Value, json};
use time::Duration;

use super::{GIFTS, cancel, give, given, giver, redeem, without_free};
use crate::support::Actor;

async fn ids(user: &Actor<'_>, query: &str) -> (Vec<Value>, String) {
    let answer = user.get(&format!("{GIFTS}{query}")).await.expect(200);
    let gifts = answer.body.as_array().expect("an array");
    let ids = gifts.iter().map(|gift| gift["id"].clone()).collect();
    (ids, answer.header("link").to_owned())
}

#[tokio::test]
async fn both_see_a_gift_from_their_side() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    ada.patch("/api/v1/auth/me", json!({"name": "Ada"}))
        .await
        .expect(200);
    let code = give(&ada, 50, json!({"message": "m"}))
        .await
        .expect(201)
        .string("code");
    assert_eq!(ids(&bob, "").await.0.len(), 0);
    redeem(&bob, &code).await.expect(200);
    let made = &ada.get(GIFTS).await.expect(200).body[0];
    assert_eq!(
        (&made["direction"], &made["status"]),
        (&json!("made"), &json!("redeemed"))
    );
    assert_eq!(made["giverName"], Value::Null);
    let received = &bob.get(GIFTS).await.expect(200).body[0];
    assert_eq!(received["direction"], "received");
    assert_eq!(received["giverName"], "Ada");
    assert_eq!(received["recipientEmail"], Value::Null);
    assert!(received.get("code").is_none());
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let mut made = Vec::new();
    for i in 0..5 {
        let (id, _) = given(&ada, 1).await;
        made.insert(0, json!(id));
        if i % 2 == 0 {
            ledger.advance(Duration::SECOND).await;
        }
    }
    let (all, link) = ids(&ada, "").await;
    assert_eq!(all.len(), 5);
    assert_eq!(link, "");
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (page, link) = ids(&ada, &query).await;
        seen.extend(page);
        // A gift that is made meanwhile shifts nothing.
        given(&ada, 1).await;
        let Some((_, rest)) = link.split_once('?') else {
            break;
        };
        query = format!("?{}", rest.split_once('>').expect("a target").0);
    }
    assert_eq!(seen, all);
    drop(ada);
    ledger.finish().await;
}

#[tokio::test]
async fn direction_narrows_the_list() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (id, _) = given(&ada, 1).await;
    cancel(&ada, &id).await.expect(200);
    let (_, code) = given(&ada, 1).await;
    redeem(&bob, &code).await.expect(200);
    assert_eq!(ids(&ada, "?direction=made").await.0.len(), 2);
    assert_eq!(ids(&ada, "?direction=received").await.0.len(), 0);
    assert_eq!(ids(&bob, "?direction=received").await.0.len(), 1);
    assert_eq!(ids(&bob, "?direction=made").await.0.len(), 0);
    let (_, link) = ids(&ada, "?direction=made&limit=1").await;
    assert!(link.contains("&direction=made&"), "{link}");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn bad_input_is_refused_and_a_foreign_cursor_is_empty() {
    let ledger = without_free().await;
    let ada = giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (id, _) = given(&ada, 1).await;
    for query in ["?limit=0", "?limit=201", "?cursor=x", "?direction=both"] {
        ada.get(&format!("{GIFTS}{query}"))
            .await
            .expect_problem(422, "validation_failed");
    }
    assert_eq!(ids(&bob, &format!("?cursor={id}")).await.0.len(), 0);
    ledger
        .anon()
        .get(GIFTS)
        .await
        .expect_problem(401, "missing_token");
    drop((ada, bob));
    ledger.finish().await;
}
