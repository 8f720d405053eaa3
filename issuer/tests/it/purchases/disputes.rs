use poem::http::Method;
use serde_json::json;

use super::shop::Shop;
use crate::admin::admin;
use crate::credits::ledger::{balance, hold, spend};

const PURCHASES: &str = "/api/v1/admin/purchases";

#[tokio::test]
async fn account_is_frozen_while_a_payment_is_disputed_and_free_when_it_is_won() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    shop.dispute(&payment).await;
    assert_eq!(shop.purchase(&ada).await["dispute"], "open");
    assert_eq!(shop.n_freezes(&ada).await, 1);
    spend(&ada, 1).await.expect_problem(403, "account_frozen");
    hold(&ada, 1).await.expect_problem(403, "account_frozen");
    shop.end_dispute(&payment, true).await;
    assert_eq!(shop.purchase(&ada).await["dispute"], "won");
    spend(&ada, 1).await.expect(200);
    assert_eq!(balance(&ada).await, 499);
    shop.finish().await;
}

#[tokio::test]
async fn won_dispute_lifts_its_own_freeze_and_no_other() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (first, _) = shop.buy(&ada).await;
    let (second, _) = shop.buy(&ada).await;
    shop.dispute(&first).await;
    shop.dispute(&second).await;
    shop.freeze(&ada, "admin:1").await;
    shop.end_dispute(&first, true).await;
    shop.end_dispute(&second, true).await;
    assert_eq!(shop.n_freezes(&ada).await, 1);
    spend(&ada, 1).await.expect_problem(403, "account_frozen");
    shop.lift(&ada, "admin:1").await;
    spend(&ada, 1).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn lost_dispute_takes_the_credits_and_what_is_spent_is_owed() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    spend(&ada, 450).await.expect(200);
    shop.dispute(&payment).await;
    shop.end_dispute(&payment, false).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 450));
    let purchase = shop.purchase(&ada).await;
    assert_eq!(purchase["dispute"], "lost");
    assert_eq!(purchase["status"], "paid", "lost is not refunded");
    assert_eq!(purchase["creditsTakenBack"], 500);
    shop.finish().await;
}

#[tokio::test]
async fn lost_dispute_keeps_the_account_frozen_until_an_admin_lifts_it() {
    let shop = Shop::open().await;
    let (ada, root) = (shop.user("ada").await, admin(&shop, "root").await);
    let (payment, purchase) = shop.buy(&ada).await;
    shop.dispute(&payment).await;
    shop.end_dispute(&payment, false).await;
    spend(&ada, 1).await.expect_problem(403, "account_frozen");
    let path = format!("{PURCHASES}/{purchase}/lift-freeze");
    ada.post_empty(&path).await.expect_problem(403, "forbidden");
    root.post_empty(&path).await.expect(204);
    root.post_empty(&path).await.expect_problem(409, "conflict");
    root.post_empty(&format!("{PURCHASES}/none/lift-freeze"))
        .await
        .expect_problem(404, "not_found");
    assert_eq!(shop.n_freezes(&ada).await, 0);
    let recorded: i64 = shop
        .db
        .value("select count(*) from auth.security_events where kind = 'freeze_lifted' and actor_kind = 'admin'")
        .await;
    assert_eq!(recorded, 1);
    // What is reported once again freezes nothing anew.
    let object = json!({"id": "dp_x", "payment_intent": payment, "amount": 500, "currency": "eur", "status": "lost"});
    let dispute = shop
        .db
        .value::<String>("select id from credits.payment_disputes")
        .await;
    let mut again = object.clone();
    again["id"] = json!(dispute);
    shop.report("evt_again", "charge.dispute.closed", again)
        .await
        .expect(200);
    assert_eq!(shop.n_freezes(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn refund_and_lost_dispute_together_take_no_more_than_was_bought() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    shop.refund(&payment, 200).await;
    shop.dispute(&payment).await;
    assert_eq!(
        balance(&ada).await,
        300,
        "nothing is taken while it is open"
    );
    shop.end_dispute(&payment, false).await;
    assert_eq!((balance(&ada).await, shop.debt(&ada).await), (0, 0));
    assert_eq!(shop.purchase(&ada).await["creditsTakenBack"], 500);
    shop.finish().await;
}

#[tokio::test]
async fn inquiry_freezes_nothing_unless_it_becomes_a_dispute() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    let dispute = |status: &str| json!({"id": "dp_1", "payment_intent": payment, "amount": 500, "currency": "eur", "status": status});
    let steps = [
        ("charge.dispute.created", "warning_needs_response", 0),
        ("charge.dispute.updated", "warning_under_review", 0),
        ("charge.dispute.updated", "needs_response", 1),
        ("charge.dispute.updated", "warning_under_review", 1),
        ("charge.dispute.closed", "won", 0),
        ("charge.dispute.updated", "under_review", 0),
    ];
    for (i, (kind, status, freezes)) in steps.into_iter().enumerate() {
        shop.report(&format!("evt_{i}"), kind, dispute(status))
            .await
            .expect(200);
        assert_eq!(shop.n_freezes(&ada).await, freezes, "{i}: {status}");
    }
    shop.finish().await;
}

#[tokio::test]
async fn disputed_part_in_another_currency_counts_as_all_of_it() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    let dispute = json!({"id": "dp_1", "payment_intent": payment, "amount": 7, "currency": "usd", "status": "lost"});
    shop.report("evt_1", "charge.dispute.closed", dispute)
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn admins_find_purchases_by_what_is_wrong_with_them() {
    let shop = Shop::open().await;
    let (ada, bob, root) = (
        shop.user("ada").await,
        shop.user("bob").await,
        admin(&shop, "root").await,
    );
    let (payment, disputed) = shop.buy(&ada).await;
    let (_, quiet) = shop.buy(&bob).await;
    shop.dispute(&payment).await;
    let ids = async |query: &str| {
        let listed = root
            .get(&format!("{PURCHASES}{query}"))
            .await
            .expect(200)
            .body;
        let listed = listed.as_array().expect("a list").clone();
        let mut ids: Vec<_> = listed
            .iter()
            .map(|p| p["id"].as_str().expect("an id").to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("?only=disputed").await, [disputed]);
    assert_eq!(ids(&format!("?user={}", bob.id)).await, [quiet]);
    assert_eq!(ids("").await.len(), 2);
    assert!(ids("?only=problem").await.is_empty());
    root.get(&format!("{PURCHASES}?only=all"))
        .await
        .expect_problem(422, "validation_failed");
    root.get(&format!("{PURCHASES}?user=%00"))
        .await
        .expect_problem(422, "validation_failed");
    ada.get(PURCHASES).await.expect_problem(403, "forbidden");
    shop.anon()
        .call(Method::GET, PURCHASES, &[], None)
        .await
        .expect_problem(401, "missing_token");
    shop.finish().await;
}
