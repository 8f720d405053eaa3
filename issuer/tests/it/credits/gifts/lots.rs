//! What becomes of the lots: purchase and expiry go with the credits.

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{WEEK, given, redeem, without_free};
use crate::credits::Ledger;
use crate::credits::ledger::{balance, buy};
use crate::support::Actor;

type Lot = (
    String,
    i64,
    Option<String>,
    Option<String>,
    Option<OffsetDateTime>,
);

/// Kind, remaining, whose purchase, which, expiry.
async fn lots(ledger: &Ledger, user: &Actor<'_>) -> Vec<Lot> {
    sqlx::query_as(
        "select g.kind, g.remaining, o.user_id, g.purchase_id, g.expires_at from credits.credit_grants g
           join credits.accounts a on a.id = g.account_id left join credits.accounts o on o.id = g.purchase_account_id
          where a.user_id = $1 order by g.id",
    )
    .bind(&user.id)
    .fetch_all(&ledger.db.owner)
    .await
    .expect("lots can be read")
}

#[tokio::test]
async fn lots_keep_purchase_and_expiry_and_the_longest_lasting_go_first() {
    let ledger = without_free().await;
    let ada = ledger.user("ada").await;
    let start = ledger.app.clock.now();
    buy(&ledger, &ada, "p1", 100, Some(Duration::days(30))).await;
    buy(&ledger, &ada, "p2", 100, None).await;
    buy(&ledger, &ada, "p3", 100, Some(Duration::days(60))).await;
    let ada = ledger.advance_with(WEEK, &ada).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 250).await;
    redeem(&bob, &code).await.expect(200);
    let lot = |amount, purchase: &str, expires: Option<i64>| {
        let expires = expires.map(|days| start + Duration::days(days));
        (
            "gift".to_owned(),
            amount,
            Some(ada.id.clone()),
            Some(purchase.to_owned()),
            expires,
        )
    };
    assert_eq!(
        lots(&ledger, &bob).await,
        [
            lot(100, "p2", None),
            lot(100, "p3", Some(60)),
            lot(50, "p1", Some(30))
        ]
    );
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn what_was_given_is_not_given_on() {
    let ledger = without_free().await;
    let ada = super::giver(&ledger).await;
    let bob = ledger.user("bob").await;
    let (_, code) = given(&ada, 100).await;
    redeem(&bob, &code).await.expect(200);
    let bob = ledger.advance_with(WEEK, &bob).await;
    super::give(&bob, 1, json!({}))
        .await
        .expect_problem(402, "insufficient_credits");
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn claw_back_finds_what_waits_in_escrow() {
    let ledger = without_free().await;
    let ada = ledger.user("ada").await;
    buy(&ledger, &ada, "p1", 100, None).await;
    buy(&ledger, &ada, "p2", 100, None).await;
    let ada = ledger.advance_with(WEEK, &ada).await;
    // The first takes from p1, the second from p1 and p2, the third from p2 alone.
    let mut codes = Vec::new();
    for amount in [60, 60, 40] {
        codes.push(given(&ada, amount).await.1);
    }
    let sql = "select credits.take_back_gifts_of_purchase(id, 'p1', auth.clock()) from credits.accounts where user_id = $1";
    ledger.run(sqlx::query(sql).bind(ada.id.clone())).await;
    assert_eq!(balance(&ada).await, 160);
    let bob = ledger.user("bob").await;
    for code in &codes[..2] {
        redeem(&bob, code).await.expect_problem(404, "not_found");
    }
    redeem(&bob, &codes[2]).await.expect(200);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn debt_is_repaid_from_a_gift_first() {
    let ledger = without_free().await;
    let ada = super::giver(&ledger).await;
    let bob = ledger.user("bob").await;
    ledger.owe(&bob, 30).await;
    let (_, code) = given(&ada, 50).await;
    redeem(&bob, &code).await.expect(200);
    assert_eq!(balance(&bob).await, 20);
    drop((ada, bob));
    ledger.finish().await;
}

#[tokio::test]
async fn debt_is_repaid_from_a_gift_that_comes_back() {
    let ledger = without_free().await;
    let ada = super::giver(&ledger).await;
    let (id, _) = given(&ada, 200).await;
    ledger.owe(&ada, 30).await;
    super::cancel(&ada, &id).await.expect(200);
    assert_eq!(balance(&ada).await, 170);
    drop(ada);
    ledger.finish().await;
}
