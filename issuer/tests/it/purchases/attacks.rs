//! Forged and misdirected payments, and what the issuer's own role cannot do about money.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::shop::{CHECKOUT, Shop, order, paid};
use crate::admin::admin;
use crate::credits::ledger::{balance, spend_once};

#[tokio::test]
async fn payment_that_does_not_fit_its_purchase_adds_nothing_and_is_shown_to_admins() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.user("ada").await, shop.user("bob").await);
    let (session, purchase) = shop.begin(&ada).await;
    let (other_session, _) = shop.begin(&bob).await;
    let right = paid(&session, &purchase, "pi_1");
    for (id, member, value, why) in [
        ("evt_1", "amount_total", json!(1), "wrong_amount"),
        ("evt_2", "amount_total", json!(501), "wrong_amount"),
        ("evt_3", "currency", json!("usd"), "wrong_currency"),
        ("evt_4", "id", json!("cs_forged"), "wrong_session"),
        ("evt_5", "id", json!(other_session), "wrong_session"),
        (
            "evt_6",
            "metadata",
            json!({"purchase_id": "nobody's"}),
            "unknown_purchase",
        ),
    ] {
        let mut wrong = right.clone();
        wrong[member] = value;
        shop.report(id, "checkout.session.completed", wrong)
            .await
            .expect(200);
        assert_eq!(shop.event(id).await, ("refused".into(), Some(why.into())));
    }
    assert_eq!((balance(&ada).await, balance(&bob).await), (0, 0));
    let root = admin(&shop, "root").await;
    let listed = root
        .get("/api/v1/admin/purchases?only=problem")
        .await
        .expect(200)
        .body;
    assert_eq!(listed[0]["id"], json!(purchase));
    assert_eq!(listed[0]["problem"], "wrong_session");
    let refused = root
        .get("/api/v1/admin/stripe-events?state=refused")
        .await
        .expect(200)
        .body;
    assert_eq!(refused.as_array().map(Vec::len), Some(6));
    // The right one is accepted all the same, and nothing is left to look at.
    shop.report("evt_7", "checkout.session.completed", right)
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 500);
    let listed = root
        .get("/api/v1/admin/purchases?only=problem")
        .await
        .expect(200)
        .body;
    assert_eq!(listed, json!([]));
    shop.finish().await;
}

#[tokio::test]
async fn credits_and_account_named_by_a_report_count_for_nothing() {
    let shop = Shop::open().await;
    let (ada, bob) = (shop.user("ada").await, shop.user("bob").await);
    let (session, purchase) = shop.begin(&ada).await;
    let mut object = paid(&session, &purchase, "pi_1");
    object["metadata"] = json!({"purchase_id": purchase, "credits": "1000000", "account_id": bob.id, "user_id": bob.id});
    object["client_reference_id"] = json!(bob.id);
    shop.report("evt_1", "checkout.session.completed", object)
        .await
        .expect(200);
    assert_eq!((balance(&ada).await, balance(&bob).await), (500, 0));
    shop.finish().await;
}

#[tokio::test]
async fn one_payment_pays_one_purchase_and_one_purchase_is_paid_once() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (first, p1) = shop.begin(&ada).await;
    let (second, p2) = shop.begin(&ada).await;
    shop.report(
        "evt_1",
        "checkout.session.completed",
        paid(&first, &p1, "pi_1"),
    )
    .await
    .expect(200);
    shop.report(
        "evt_2",
        "checkout.session.completed",
        paid(&second, &p2, "pi_1"),
    )
    .await
    .expect(200);
    shop.report(
        "evt_3",
        "checkout.session.completed",
        paid(&first, &p1, "pi_2"),
    )
    .await
    .expect(200);
    for id in ["evt_2", "evt_3"] {
        assert_eq!(
            shop.event(id).await,
            ("refused".into(), Some("paid_twice".into()))
        );
    }
    assert_eq!(balance(&ada).await, 500);
    // Both purchases are shown until an admin has dealt with their reports.
    let root = admin(&shop, "root").await;
    for (left, id) in [(1, "evt_2"), (0, "evt_3")] {
        let path = format!("/api/v1/admin/stripe-events/{id}/dismiss");
        root.post_empty(&path).await.expect(204);
        let shown = root.get("/api/v1/admin/purchases?only=problem").await;
        assert_eq!(shown.expect(200).body.as_array().map(Vec::len), Some(left));
    }
    shop.finish().await;
}

#[tokio::test]
async fn refund_of_somebody_elses_payment_touches_nobody_here() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    shop.buy(&ada).await;
    for (id, kind, object) in [
        (
            "evt_1",
            "charge.refunded",
            json!({"id": "ch_9", "payment_intent": "pi_other", "amount_refunded": 500}),
        ),
        (
            "evt_2",
            "refund.created",
            json!({"id": "re_9", "payment_intent": "pi_other", "amount": 500, "status": "succeeded"}),
        ),
        (
            "evt_3",
            "charge.dispute.closed",
            json!({"id": "dp_9", "payment_intent": "pi_other", "amount": 500, "currency": "eur", "status": "lost"}),
        ),
    ] {
        shop.report(id, kind, object).await.expect(200);
        assert_eq!(
            shop.event(id).await,
            ("applied".into(), Some("recorded".into()))
        );
    }
    assert_eq!((balance(&ada).await, shop.n_freezes(&ada).await), (500, 0));
    shop.finish().await;
}

#[tokio::test]
async fn client_keys_named_like_a_payment_or_a_claw_back_stand_in_no_ones_way() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (session, purchase) = shop.begin(&ada).await;
    let keys = [
        "payment:pi_1",
        "pi_1",
        "claw:pi_1",
        "claw_back:evt_2",
        "evt_1",
    ];
    for key in keys {
        spend_once(&ada, 1, key)
            .await
            .expect_problem(402, "insufficient_credits");
    }
    let mut body = order();
    body["idempotencyKey"] = json!("payment:pi_1");
    ada.post(CHECKOUT, body).await.expect(200);
    shop.report(
        "evt_1",
        "checkout.session.completed",
        paid(&session, &purchase, "pi_1"),
    )
    .await
    .expect(200);
    assert_eq!(balance(&ada).await, 500);
    let refunded = json!({"id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 500});
    shop.report("evt_2", "charge.refunded", refunded)
        .await
        .expect(200);
    assert_eq!(balance(&ada).await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn issuers_role_writes_no_table_of_money_and_calls_no_building_block() {
    let shop = Shop::open().await;
    let ada = shop.user("ada").await;
    let (payment, _) = shop.buy(&ada).await;
    shop.dispute(&payment).await;
    let mut issuer = shop.db.as_issuer().await;
    for sql in [
        "insert into credits.packages values ('p', 'P', 1000000, 1, 'EUR', true, auth.clock(), auth.clock())",
        "update credits.packages set price_cents = 1",
        "delete from credits.packages",
        "insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, created_at)
         select id, 'forged', 'small', 1000000, 1, 'EUR', auth.clock() from credits.accounts",
        "update credits.purchases set credits = 1000000",
        "update credits.purchases set status = 'paid', payment_id = 'pi_9', paid_at = auth.clock()",
        "update credits.purchases set clawed_back = 500",
        "delete from credits.purchases",
        "truncate credits.purchases cascade",
        "update credits.freezes set lifted_at = auth.clock()",
        "select * from credits.payments",
        "insert into credits.payments values ('pi_9', 0, auth.clock())",
        "update credits.payments set charge_refunded_cents = 0",
        "select * from credits.payment_refunds",
        "update credits.payment_refunds set failed = true",
        "select * from credits.payment_disputes",
        "update credits.payment_disputes set status = 'won'",
        "select * from credits.stripe_events",
        "update credits.stripe_events set facts = '{}'",
        "delete from credits.stripe_events",
        "select credits.accept_payment('p', '{}', auth.clock())",
        "select credits.claw_back(p, 1, auth.clock()) from credits.purchases p",
        "select credits.give_back(p, 500, auth.clock()) from credits.purchases p",
        "select credits.move_purchase(1, 'p', array[1], array[500::bigint], 0, auth.clock())",
        "select credits.collect_debt(1, auth.clock())",
        "select credits.apply_facts(null, auth.clock())",
        "select credits.record_refund('{}', auth.clock(), auth.clock())",
        "select credits.record_dispute('{}', auth.clock(), auth.clock())",
        "select credits.settle_purchase(null, auth.clock())",
        "select credits.settle_disputes(null, auth.clock())",
        "select credits.end_unpaid('p', '{}')",
        "select credits.apply_to_package('delete', 'small', '{}', null, '{}')",
        "select credits.apply_to_purchase('lift_freeze', 'p', null, '{}')",
        "select credits.operate_on_package('delete', 'small', '{}')",
        "select credits.operate_on_purchase('lift_freeze', 'p')",
        "select * from credits.find_purchases(null, null, 10)",
        "select * from credits.find_stripe_events(null, null, 10)",
    ] {
        let mut tx = issuer.begin().await.expect("begun");
        sqlx::query("select set_config('tollgate.user_id', $1, true)")
            .bind(&ada.id)
            .execute(&mut *tx)
            .await
            .expect("set");
        let error = tx
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .expect_err(sql);
        let error = error.as_database_error().expect("refused by the server");
        assert_eq!(error.code().as_deref(), Some("42501"), "{sql}");
        tx.rollback().await.expect("rolled back");
    }
    issuer.close().await.expect("closed");
    assert_eq!(balance(&ada).await, 500);
    shop.finish().await;
}

#[tokio::test]
async fn what_the_tables_owner_changes_about_a_purchase_is_found_by_reconcile() {
    for (damage, found) in [
        (
            "update credits.purchases set credits = 600",
            "purchase_differs",
        ),
        (
            "update credits.purchases set payment_id = null, status = 'pending', paid_at = null",
            "purchase_differs",
        ),
        (
            "update credits.purchases set clawed_back = 1",
            "claw_back_differs",
        ),
        (
            "insert into credits.payment_disputes select 'dp_1', payment_id, 500, 'EUR', 'open', auth.clock(), auth.clock() from credits.purchases",
            "freeze_missed",
        ),
    ] {
        let shop = Shop::open().await;
        let ada = shop.user("ada").await;
        shop.buy(&ada).await;
        assert_eq!(shop.incidents().await, []);
        shop.run(sqlx::query(damage)).await;
        let incidents = shop.incidents().await;
        assert!(
            incidents.iter().any(|incident| incident.problem == found),
            "{damage}: {incidents:?}"
        );
        drop(ada);
        shop.finish_damaged();
    }
}
