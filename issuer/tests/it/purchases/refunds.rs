use serde_json::json;
use time::Duration;

use super::shop::Shop;
use crate::credits::ledger::{balance, held, hold, release, spend};
use crate::support::Actor;

/// Gives credits of a purchase to somebody, as a gift that was redeemed would have.
async fn give(shop: &Shop, purchase: &str, from: &Actor<'_>, to: &Actor<'_>, amount: i64) {
    let out = sqlx::query(
        "with a as (update credits.accounts set seq = seq + 1 where user_id = $1 returning id, seq)
         insert into credits.entries (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, created_at)
         select a.id, a.seq, 'gift', $2, 'gift_escrow', $2, array[1], array[-$2], auth.clock() from a",
    );
    shop.run(out.bind(&from.id).bind(amount)).await;
    let lot = sqlx::query(
        "insert into credits.credit_grants (account_id, id, kind, burn_rank, purchase_account_id, purchase_id, created_at)
         select a.id, 1, 'gift', 3, p.account_id, p.id, auth.clock()
           from credits.accounts a, credits.purchases p where a.user_id = $1 and p.id = $2",
    );
    shop.run(lot.bind(&to.id).bind(purchase)).await;
    let r#in = sqlx::query(
        "with a as (update credits.accounts set seq = seq + 1 where user_id = $1 returning id, seq)
         insert into credits.entries (account_id, seq, kind, amount, system_account, system_delta, credit_grant_ids, deltas, created_at)
         select a.id, a.seq, 'gift', $2, 'gift_escrow', -$2, array[1], array[$2], auth.clock() from a",
    );
    shop.run(r#in.bind(&to.id).bind(amount)).await;
}

#[tokio::test]
async fn refunds_in_parts_take_back_what_they_add_up_to() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    for (cents, left, status) in [(150, 350, "paid"), (1, 349, "paid"), (349, 0, "refunded")] {
        shop.refund(&payment, cents).await;
        assert_eq!(balance(&ada).await, left);
        let purchase = shop.purchase(&ada).await;
        assert_eq!(purchase["status"], status);
        assert_eq!(purchase["refundedCents"], 500 - left);
        assert_eq!(purchase["creditsTakenBack"], 500 - left);
    }
    assert_eq!(shop.debt(&ada).await, 0);
    assert_eq!(shop.n_freezes(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn fractions_of_a_credit_are_taken_back_whole() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.run(sqlx::query("update credits.packages set credits = 7"))
        .await;
    let (payment, _) = shop.buy(&ada).await;
    shop.refund(&payment, 1).await;
    assert_eq!(balance(&ada).await, 6);
    shop.refund(&payment, 70).await;
    assert_eq!(balance(&ada).await, 6);
    shop.refund(&payment, 429).await;
    assert_eq!(balance(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn refund_that_fails_later_gives_the_credits_back() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    shop.refund(&payment, 200).await;
    shop.refund(&payment, 300).await;
    assert_eq!(balance(&ada).await, 0);
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.fail_refund(&payment, now));
    }
    shop.deliver().await;
    assert_eq!(balance(&ada).await, 300);
    let purchase = shop.purchase(&ada).await;
    assert_eq!(
        (&purchase["status"], &purchase["refundedCents"]),
        (&json!("paid"), &json!(200))
    );
    // Refunded another way, all of it is gone again.
    shop.refund(&payment, 300).await;
    assert_eq!(balance(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn refund_known_only_from_its_charge_counts_too() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    let charge =
        |cents: i64| json!({"id": "ch_1", "payment_intent": payment, "amount_refunded": cents});
    shop.report("evt_2", "charge.refunded", charge(300))
        .await
        .expect(200);
    // What was reported earlier and arrives later takes nothing back from that.
    shop.report("evt_1", "charge.refunded", charge(100))
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 200);
    shop.finish().await;
}

#[tokio::test]
async fn what_is_spent_by_then_is_owed_and_repaid_from_the_next_purchase() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    spend(&ada, 420).await.expect(200);
    shop.refund(&payment, 500).await;
    assert_eq!(balance(&ada).await, 0);
    assert_eq!(shop.debt(&ada).await, 420);
    shop.buy(&ada).await;
    assert_eq!(balance(&ada).await, 80);
    assert_eq!(shop.debt(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn failed_refund_forgives_what_was_owed_first() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    spend(&ada, 420).await.expect(200);
    shop.refund(&payment, 500).await;
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.fail_refund(&payment, now));
    }
    shop.deliver().await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (80, 0));
    shop.finish().await;
}

#[tokio::test]
async fn held_credits_of_a_refunded_purchase_are_collected_when_they_are_released() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    let id = held(&ada, 400).await;
    shop.refund(&payment, 500).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 400));
    release(&ada, &id, "r").await.expect(200);
    spend(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    hold(&ada, 1)
        .await
        .expect_problem(402, "insufficient_credits");
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 0));
    // One that runs out by itself, likewise.
    let (payment, _) = shop.buy(&ada).await;
    held(&ada, 400).await;
    shop.refund(&payment, 500).await;
    shop.pass(Duration::minutes(5)).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 0));
    shop.finish().await;
}

#[tokio::test]
async fn credits_that_were_given_away_are_followed_and_come_back_to_whom_they_were_taken_from() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.user("ada").await, shop.user("bob").await);
    let (payment, purchase) = shop.buy(&ada).await;
    give(&shop, &purchase, &ada, &bob, 200).await;
    spend(&bob, 50).await.expect(200);
    spend(&ada, 100).await.expect(200);
    // 200 are left at ada, 150 at bob, 150 are spent.
    shop.refund(&payment, 300).await;
    assert_eq!((balance(&ada).await, balance(&bob).await), (0, 50));
    shop.refund(&payment, 200).await;
    assert_eq!((balance(&ada).await, balance(&bob).await), (0, 0));
    assert_eq!((shop.debt(&ada).await, shop.debt(&bob).await), (150, 0));
    {
        let (mut stripe, now) = shop.stripe.now();
        assert!(stripe.fail_refund(&payment, now) && stripe.fail_refund(&payment, now));
    }
    shop.deliver().await;
    assert_eq!((balance(&ada).await, balance(&bob).await), (200, 150));
    assert_eq!(shop.debt(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn refund_takes_nothing_from_another_purchase() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (first, _) = shop.buy(&ada).await;
    shop.buy(&ada).await;
    spend(&ada, 500).await.expect(200);
    shop.refund(&first, 500).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (500, 500));
    shop.finish().await;
}
