use serde_json::json;
use time::Duration;

use super::receiver::{Manner, Receiver};
use super::{APPS, DELIVERIES, Shop, listen};

#[tokio::test]
async fn deliveries_are_listed_newest_first_by_app_state_and_type_page_by_page() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    let other = Receiver::start().await;
    listen(&root, "other", &other).await;
    let ada = shop.app.user("ada").await;
    let ban = format!("/api/v1/admin/users/{}/ban", ada.id);
    root.post(&ban, json!({"reason": "x"})).await.expect(204);
    shop.receiver.next([Manner::Status(410)]);
    shop.send().await;
    shop.ping().await;
    let ids = async |query: &str| -> Vec<String> {
        let listed = root.get(&format!("{DELIVERIES}{query}")).await.expect(200);
        let listed = listed.body["deliveries"]
            .as_array()
            .expect("a list")
            .clone();
        let ids = listed
            .iter()
            .map(|one| one["id"].as_str().expect("an id").to_owned());
        ids.collect()
    };
    let all = ids("").await;
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by_key(|id| -id.parse::<i64>().expect("a number")));
    assert_eq!(ids("?appId=other").await.len(), 1);
    assert_eq!(ids("?type=ping").await, all[..1]);
    assert_eq!(ids("?state=dead").await.len(), 1);
    assert_eq!(
        ids("?state=delivered&appId=other&type=user.banned")
            .await
            .len(),
        1
    );
    assert_eq!(
        ids("?state=delivered&appId=shop").await,
        Vec::<String>::new()
    );
    let mut paged = Vec::new();
    let mut path = format!("{DELIVERIES}?limit=2");
    loop {
        let page = root.get(&path).await.expect(200).body;
        let deliveries = page["deliveries"].as_array().expect("a list");
        paged.extend(
            deliveries
                .iter()
                .map(|one| one["id"].as_str().expect("an id").to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{DELIVERIES}?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    let one = root
        .get(&format!("{DELIVERIES}/{}", all[0]))
        .await
        .expect(200);
    assert_eq!(one.body["delivery"]["payload"]["type"], "ping");
    assert_eq!(
        one.body["delivery"]["nextAttemptAt"],
        "2026-03-01T12:00:00Z"
    );
}

#[tokio::test]
async fn what_does_not_exist_or_makes_no_sense_is_refused() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    for (query, field) in [
        ("?state=lost", "state"),
        ("?type=user.created", "type"),
        ("?appId=%00", "appId"),
        ("?cursor=x", "cursor"),
        ("?cursor=-1", "cursor"),
        ("?limit=0", "limit"),
        ("?limit=201", "limit"),
    ] {
        let refused = root.get(&format!("{DELIVERIES}{query}")).await;
        refused.expect_invalid(&[field]);
    }
    for id in ["1", "0", "-1", "x", "%00", "99999999999999999999"] {
        root.get(&format!("{DELIVERIES}/{id}"))
            .await
            .expect_problem(404, "not_found");
        root.post_empty(&format!("{DELIVERIES}/{id}/replay"))
            .await
            .expect_problem(404, "not_found");
    }
    let silent = json!({"appId": "silent", "name": "x"});
    root.post(APPS, silent).await.expect(201);
    for (app_id, status, code) in [
        ("none", 404, "not_found"),
        ("%00", 404, "not_found"),
        ("silent", 409, "conflict"),
    ] {
        for act in ["webhook-ping", "webhook-replay"] {
            root.post_empty(&format!("{APPS}/{app_id}/{act}"))
                .await
                .expect_problem(status, code);
        }
    }
}

#[tokio::test]
async fn a_delivery_of_an_app_that_does_not_listen_is_not_replayed() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    let id = shop.ping().await;
    root.post_empty(&format!("{APPS}/shop/disable"))
        .await
        .expect(204);
    root.post_empty(&format!("{DELIVERIES}/{id}/replay"))
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn only_admins_look_and_only_fresh_ones_act() {
    let shop = Shop::open().await;
    let id = shop.ping().await;
    let root = shop.root().await;
    let ada = shop.app.user("ada").await;
    let acts = [
        format!("{DELIVERIES}/{id}/replay"),
        format!("{APPS}/shop/webhook-replay"),
        format!("{APPS}/shop/webhook-ping"),
        format!("{APPS}/shop/webhook-secret"),
    ];
    let reads = [DELIVERIES.to_owned(), format!("{DELIVERIES}/{id}")];
    for path in &acts {
        ada.post_empty(path).await.expect_problem(403, "forbidden");
        let anon = shop.app.anon().post_empty(path).await;
        anon.expect_problem(401, "missing_token");
    }
    for path in &reads {
        ada.get(path).await.expect_problem(403, "forbidden");
        let anon = shop.app.anon().get(path).await;
        anon.expect_problem(401, "missing_token");
    }
    shop.app.advance(Duration::seconds(600)).await;
    for path in &acts {
        let stale = root.post_empty(path).await;
        stale.expect_problem(403, "reauthentication_required");
    }
    for path in &reads {
        root.get(path).await.expect(200);
    }
    sqlx::query("update auth.users set role = 'user' where email = 'root@example.com'")
        .execute(&shop.app.db.owner)
        .await
        .expect("demoted");
    for path in &reads {
        root.get(path).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn the_issuers_role_reads_and_writes_no_delivery_and_tells_nobody_anything() {
    let shop = Shop::open().await;
    shop.ping().await;
    let mut issuer = shop.app.db.as_issuer().await;
    for sql in [
        "select body from auth.webhook_deliveries",
        "update auth.webhook_deliveries set body = '{}'",
        "delete from auth.webhook_deliveries",
        "insert into auth.webhook_deliveries (app_id, event_id, type, body, created_at, due_at)
         values ('shop', 'msg_00000000000000000000000000000000', 'ping', '{}', now(), now())",
        "select auth.enqueue_webhook('purchase.paid', '{}', null)",
        "select auth.apply_to_webhooks('ping', 'shop', null, 1, null, '{}')",
        "select auth.operate_on_webhooks('ping', 'shop', null, 1)",
        "select auth.find_webhooks(null, null, null, null, 1, 1)",
        "update auth.apps set webhook_url = 'https://evil.example.com'",
    ] {
        let refused = sqlx::query(sql).execute(&mut issuer).await;
        let error = refused.expect_err(sql);
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
    }
}
