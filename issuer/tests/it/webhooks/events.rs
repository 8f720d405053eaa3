use issuer::accounts;
use serde_json::json;
use time::Duration;

use super::receiver::Receiver;
use super::{APPS, DELIVERIES, Shop, listen};

#[tokio::test]
async fn every_change_of_a_users_standing_is_told_once() {
    let shop = Shop::open().await;
    let ada = shop.app.user("ada").await;
    let root = shop.root().await;
    let user = format!("/api/v1/admin/users/{}", ada.id);
    let act = async |path: &str, body: serde_json::Value| {
        let path = format!("{user}/{path}");
        root.post(&path, body).await.expect(204);
        shop.send().await;
    };
    act("ban", json!({"reason": "ada@example.com was rude"})).await;
    act(
        "ban",
        json!({"reason": "x", "until": "2026-03-02T12:00:00Z"}),
    )
    .await;
    act("unban", json!({})).await;
    root.delete(&user).await.expect(204);
    act("restore", json!({})).await;
    root.delete(&user).await.expect(204);
    shop.app.advance(Duration::days(31)).await;
    accounts::erase_due(&shop.app.app).await.expect("erased");
    shop.send().await;
    let mut types = shop.receiver.types();
    types.sort_unstable();
    let mut expected = [
        "user.banned",
        "user.banned",
        "user.unbanned",
        "user.deleted",
        "user.restored",
        "user.deleted",
        "user.erased",
    ];
    expected.sort_unstable();
    assert_eq!(types, expected);
    let told = shop.receiver.received();
    let forever = json!({"type": "user.banned", "timestamp": "2026-03-01T12:00:00.000Z",
                         "data": {"userId": ada.id, "until": null}});
    assert_eq!(told[0].json(), forever);
    let until = &told[1].json()["data"]["until"];
    assert_eq!(until, "2026-03-02T12:00:00.000Z");
    let erased = told.last().expect("told").json();
    assert_eq!(erased["data"], json!({"userId": ada.id}));
}

#[tokio::test]
async fn what_is_told_of_an_erased_user_names_nobody() {
    let shop = Shop::open().await;
    let ada = shop.app.user("ada").await;
    let root = shop.root().await;
    ada.patch("/api/v1/auth/me", json!({"name": "Lovelace"}))
        .await
        .expect(200);
    let user = format!("/api/v1/admin/users/{}", ada.id);
    let reason = json!({"reason": "ada@example.com, Lovelace"});
    root.post(&format!("{user}/ban"), reason).await.expect(204);
    root.delete(&user).await.expect(204);
    shop.app.advance(Duration::days(31)).await;
    accounts::erase_due(&shop.app.app).await.expect("erased");
    shop.send().await;
    assert_eq!(shop.receiver.received().len(), 3);
    let kept: String = shop
        .app
        .db
        .value("select string_agg(d::text, ' ') from auth.webhook_deliveries d")
        .await;
    let sent = format!("{:?}", shop.receiver.received());
    for personal in ["ada", "Lovelace", "example.com", "192.0.2.10"] {
        assert!(
            !kept.contains(personal) && !sent.contains(personal),
            "{personal}"
        );
    }
}

/// Every row: what is set, and what is told of it.
const PURCHASE: [(&str, &[&str]); 9] = [
    ("checkout_session_id = 'cs_1'", &[]),
    ("status = 'failed'", &["purchase.failed"]),
    ("status = 'failed'", &[]),
    (
        "status = 'paid', paid_at = auth.clock()",
        &["purchase.paid"],
    ),
    ("status = 'paid'", &[]),
    ("refunded_cents = 100", &["purchase.refunded"]),
    (
        "status = 'refunded', refunded_cents = 500",
        &["purchase.refunded"],
    ),
    (
        "status = 'paid', refunded_cents = 100",
        &["purchase.refund_failed"],
    ),
    ("disputed_cents = 100", &[]),
];

#[tokio::test]
async fn purchases_are_told_by_what_happened_to_the_money() {
    let shop = Shop::open().await;
    let ada = shop.app.user("ada").await;
    sqlx::query(
        "with offered as (
           insert into credits.packages (id, name, credits, price_cents, currency, created_at, updated_at)
           values ('small', 'Small', 500, 500, 'EUR', auth.clock(), auth.clock()) returning id)
         insert into credits.purchases (account_id, id, package_id, credits, price_cents, currency, created_at)
         select a.id, 'p1', o.id, 500, 500, 'EUR', auth.clock()
           from credits.accounts a, offered o where a.user_id = $1",
    )
    .bind(&ada.id)
    .execute(&shop.app.db.owner)
    .await
    .expect("bought");
    let mut expected: Vec<&str> = Vec::new();
    for (set, told) in PURCHASE {
        let sql = format!("update credits.purchases set {set} where id = 'p1'");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&shop.app.db.owner)
            .await
            .expect("updated");
        shop.send().await;
        expected.extend(told);
        assert_eq!(shop.receiver.types(), expected, "{set}");
    }
    let refunded = &shop.receiver.received()[2].json()["data"];
    let data = json!({
        "userId": ada.id, "purchaseId": "p1", "packageId": "small", "status": "paid", "credits": 500,
        "priceCents": 500, "refundedCents": 100, "currency": "EUR",
    });
    assert_eq!(refunded, &data);
}

#[tokio::test]
async fn an_account_is_frozen_by_its_first_freeze_and_thawed_by_its_last() {
    let shop = Shop::open().await;
    let ada = shop.app.user("ada").await;
    let freeze = |id: &'static str, reason: &'static str| {
        let place = "insert into credits.freezes (account_id, id, reason, created_at)
                     select a.id, $2, $3, auth.clock() from credits.accounts a where a.user_id = $1";
        sqlx::query(place).bind(&ada.id).bind(id).bind(reason)
    };
    let lift = |id: &'static str, at: &'static str| {
        let lift = format!("update credits.freezes set lifted_at = {at} where id = $1");
        sqlx::query(sqlx::AssertSqlSafe(lift)).bind(id)
    };
    let steps = [
        (freeze("a", "dispute"), 1),
        (freeze("b", "admin"), 1),
        (lift("a", "auth.clock()"), 1),
        (lift("b", "auth.clock()"), 2),
        (lift("b", "auth.clock()"), 2),
        (lift("b", "null"), 3),
    ];
    for (step, n_told) in steps {
        step.execute(&shop.app.db.owner).await.expect("done");
        shop.send().await;
        assert_eq!(shop.receiver.received().len(), n_told);
    }
    let types = shop.receiver.types();
    assert_eq!(
        types,
        ["credits.frozen", "credits.unfrozen", "credits.frozen"]
    );
    let data = shop.receiver.received()[0].json()["data"].clone();
    assert_eq!(data, json!({"userId": ada.id, "reason": "dispute"}));
}

#[tokio::test]
async fn every_app_that_listens_is_told_the_same_event_and_no_other_app() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    let (second, disabled) = (Receiver::start().await, Receiver::start().await);
    listen(&root, "second", &second).await;
    listen(&root, "disabled", &disabled).await;
    root.post_empty(&format!("{APPS}/disabled/disable"))
        .await
        .expect(204);
    root.post(APPS, json!({"appId": "silent", "name": "x"}))
        .await
        .expect(201);
    let ada = shop.app.user("ada").await;
    let ban = format!("/api/v1/admin/users/{}/ban", ada.id);
    root.post(&ban, json!({"reason": "x"})).await.expect(204);
    assert_eq!(shop.send().await, 2);
    let (first, second) = (&shop.receiver.received()[0], &second.received()[0]);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_ne!(
        first.header("webhook-signature"),
        second.header("webhook-signature")
    );
    assert_eq!(disabled.n_connections(), 0);
}

#[tokio::test]
async fn an_act_that_did_not_happen_and_a_charge_are_told_to_nobody() {
    let shop = Shop::open().await;
    let ada = shop.app.user("ada").await;
    let mut tx = shop.app.db.owner.begin().await.expect("begun");
    sqlx::query("update auth.users set status = 'banned' where id = $1")
        .bind(&ada.id)
        .execute(&mut *tx)
        .await
        .expect("banned");
    tx.rollback().await.expect("taken back");
    let charge = json!({"amount": 10, "appId": "shop", "description": "x"});
    ada.post("/api/v1/credits/use", charge).await.expect(200);
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    let listed = shop.root().await.get(DELIVERIES).await.expect(200).body;
    assert_eq!(listed, json!({"deliveries": [], "nextCursor": null}));
    let on_entries: i64 = shop
        .app
        .db
        .value(
            "select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid
              where t.tgrelid = 'credits.entries'::regclass and p.proname like 'announce%'",
        )
        .await;
    assert_eq!(on_entries, 0);
}
