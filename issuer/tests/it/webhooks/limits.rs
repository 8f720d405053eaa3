use issuer::webhooks;
use serde_json::json;
use time::Duration;

use super::receiver::{Manner, Receiver};
use super::{APPS, Shop, standing};

#[tokio::test]
async fn an_app_that_stopped_listening_is_not_called_and_one_that_moved_is_called_there() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    shop.ping().await;
    let moved = Receiver::start().await;
    sqlx::query("update auth.apps set webhook_url = $1")
        .bind(&moved.url)
        .execute(&shop.app.db.owner)
        .await
        .expect("moved");
    shop.send().await;
    assert_eq!(
        (shop.receiver.n_connections(), moved.n_connections()),
        (0, 1)
    );
    shop.ping().await;
    root.post_empty(&format!("{APPS}/shop/disable"))
        .await
        .expect(204);
    shop.send().await;
    assert_eq!(moved.n_connections(), 1);
    assert_eq!(
        standing(&shop.newest().await),
        json!(["dead", 1, null, "no_receiver"])
    );
}

#[tokio::test]
async fn beyond_ten_thousand_the_oldest_that_wait_are_given_up_and_counted() {
    let shop = Shop::open().await;
    sqlx::query(
        "insert into auth.webhook_deliveries (app_id, event_id, type, body, created_at, due_at)
         select 'shop', 'msg_' || md5(n::text), 'ping', '{}', auth.clock(), auth.clock() + interval '1 hour'
           from generate_series(1, 10003) n",
    )
    .execute(&shop.app.db.owner)
    .await
    .expect("filled");
    webhooks::sweep(&shop.app.app).await.expect("swept");
    let dead: Vec<String> = shop
        .app
        .db
        .value(
            "select array_agg(event_id order by id) from auth.webhook_deliveries
              where state = 'dead' and last_error = 'overflow'",
        )
        .await;
    let oldest: Vec<String> = shop
        .app
        .db
        .value("select array_agg('msg_' || md5(n::text) order by n) from generate_series(1, 3) n")
        .await;
    assert_eq!(dead, oldest);
    let metrics = shop.app.app.metrics.to_text();
    for line in [
        "tollgate_webhooks_total{outcome=\"dead\"} 3",
        "tollgate_webhooks_waiting 10000",
        "tollgate_webhooks_dead 3",
        "tollgate_webhook_oldest_seconds 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    // As many are replayed as may wait.
    let root = shop.root().await;
    let path = format!("{APPS}/shop/webhook-replay");
    let replayed = root.post_empty(&path).await.expect(200);
    assert_eq!(replayed.body, json!({"replayed": 0}));
}

#[tokio::test]
async fn what_was_delivered_is_forgotten_after_a_week_and_what_is_dead_after_a_month() {
    let shop = Shop::open().await;
    shop.receiver
        .next([Manner::Status(200), Manner::Status(410)]);
    shop.ping().await;
    shop.send().await;
    shop.ping().await;
    shop.send().await;
    let states = async || -> Vec<String> {
        webhooks::sweep(&shop.app.app).await.expect("swept");
        let all =
            "select coalesce(array_agg(state order by id), '{}') from auth.webhook_deliveries";
        shop.app.db.value(all).await
    };
    shop.app.advance(Duration::days(7)).await;
    assert_eq!(states().await, ["delivered", "dead"]);
    shop.app.advance(Duration::seconds(1)).await;
    assert_eq!(states().await, ["dead"]);
    shop.app.advance(Duration::days(23)).await;
    assert_eq!(states().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_waits_is_not_forgotten_and_its_age_is_measured() {
    let shop = Shop::open().await;
    shop.receiver.always(Manner::Status(500));
    shop.ping().await;
    shop.send().await;
    shop.app.advance(Duration::days(40)).await;
    webhooks::sweep(&shop.app.app).await.expect("swept");
    let metrics = shop.app.app.metrics.to_text();
    for line in [
        "tollgate_webhooks_total{outcome=\"retry\"} 1",
        "tollgate_webhook_oldest_seconds 3456000",
        "tollgate_webhooks_waiting 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
