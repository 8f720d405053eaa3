//! Credits that were bought, given away, and then paid back to the buyer's bank.

use serde_json::json;

use super::shop::Shop;
use crate::credits::gifts::{WEEK, given, redeem};
use crate::credits::ledger::{balance, spend};
use crate::support::Actor;

/// A shop without free credits where somebody bought 500 a week ago; who, and the payment.
async fn scene(shop: &Shop) -> (Actor<'_>, String) {
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    shop.pass(WEEK).await;
    (ada.login(&ada.email, json!({})).await, payment)
}

async fn lose(shop: &Shop, payment: &str) {
    shop.dispute(payment).await;
    shop.end_dispute(payment, false).await;
}

#[tokio::test]
async fn gift_that_waits_is_taken_back_before_its_buyer_owes_anything() {
    let shop = Shop::open().await;
    let (ada, payment) = scene(&shop).await;
    let grace = shop.user("grace").await;
    let (_, code) = given(&ada, 200).await;
    lose(&shop, &payment).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 0));
    redeem(&grace, &code).await.expect_problem(404, "not_found");
    assert_eq!(balance(&grace).await, 0);
    drop((ada, grace));
    shop.finish().await;
}

#[tokio::test]
async fn gift_that_waits_stays_while_the_buyer_has_enough_for_a_partial_refund() {
    let shop = Shop::open().await;
    let (ada, payment) = scene(&shop).await;
    let grace = shop.user("grace").await;
    let (_, code) = given(&ada, 200).await;
    shop.refund(&payment, 250).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (50, 0));
    redeem(&grace, &code).await.expect(200);
    assert_eq!(balance(&grace).await, 200);
    drop((ada, grace));
    shop.finish().await;
}

#[tokio::test]
async fn gift_that_was_redeemed_is_followed_and_what_is_spent_of_it_is_the_buyers_debt() {
    let shop = Shop::open().await;
    let (ada, payment) = scene(&shop).await;
    let grace = shop.user("grace").await;
    let (_, code) = given(&ada, 200).await;
    redeem(&grace, &code).await.expect(200);
    spend(&grace, 150).await.expect(200);
    lose(&shop, &payment).await;
    assert_eq!(balance(&grace).await, 0);
    assert_eq!(shop.debt(&grace).await, 0, "who was given it owes nothing");
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 150));
    drop((ada, grace));
    shop.finish().await;
}
