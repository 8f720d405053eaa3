use issuer::webhooks;
use serde_json::json;
use time::Duration;

use super::receiver::{Manner, Receiver};
use super::{APPS, DELIVERIES, Shop, listen, standing};

#[tokio::test]
async fn an_event_arrives_once_signed_and_is_over() {
    let shop = Shop::open().await;
    shop.ping().await;
    assert_eq!(shop.send().await, 1);
    assert_eq!(shop.send().await, 0);
    let received = shop.receiver.received();
    let one = &received[0];
    assert_eq!(received.len(), 1);
    assert!(one.is_signed_with(&shop.secret));
    assert_eq!(one.header("webhook-timestamp"), "1772366400");
    assert_eq!(one.header("content-type"), "application/json");
    assert!(one.header("webhook-id").starts_with("msg_"));
    assert!(one.header("user-agent").starts_with("tollgate/"));
    let expected =
        r#"{"type":"ping","timestamp":"2026-03-01T12:00:00.000Z","data":{"appId": "shop"}}"#;
    assert_eq!(one.body, expected);
    let delivery = shop.newest().await;
    assert_eq!(standing(&delivery), json!(["delivered", 1, 204, null]));
    assert_eq!(delivery["endedAt"], "2026-03-01T12:00:00Z");
    assert_eq!(delivery["eventId"], one.header("webhook-id"));
    assert!(delivery["nextAttemptAt"].is_null());
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_after_each_pause_and_given_up_after_the_last() {
    let shop = Shop::open().await;
    shop.receiver.always(Manner::Status(500));
    shop.ping().await;
    assert_eq!(shop.send().await, 1);
    let pauses = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (n, pause) in (1..).zip(pauses) {
        assert_eq!(
            standing(&shop.newest().await),
            json!(["pending", n, 500, "status"])
        );
        shop.send_after(pause).await;
    }
    assert_eq!(
        standing(&shop.newest().await),
        json!(["dead", 10, 500, "status"])
    );
    shop.app.advance(Duration::days(10)).await;
    assert_eq!(shop.send().await, 0);
    let received = shop.receiver.received();
    assert_eq!(received.len(), 10);
    for pair in received.windows(2) {
        assert_eq!(pair[0].header("webhook-id"), pair[1].header("webhook-id"));
        assert_eq!(pair[0].body, pair[1].body);
        assert_ne!(
            pair[0].header("webhook-timestamp"),
            pair[1].header("webhook-timestamp")
        );
        assert!(pair[1].is_signed_with(&shop.secret));
    }
}

#[tokio::test]
async fn a_receiver_that_says_when_to_come_back_is_asked_then() {
    let shop = Shop::open().await;
    // The clock of the test stands at noon.
    let busy = ["90", "Sun, 01 Mar 2026 13:01:30 GMT"].map(Manner::Busy);
    shop.receiver.next(busy);
    shop.ping().await;
    assert_eq!(shop.send().await, 1);
    for wait in [90, 3600] {
        shop.send_after(wait).await;
    }
    assert_eq!(
        standing(&shop.newest().await),
        json!(["delivered", 3, 204, null])
    );
}

#[tokio::test]
async fn what_was_given_up_is_replayed_with_all_its_attempts() {
    let shop = Shop::open().await;
    shop.receiver
        .next([Manner::Status(410), Manner::Status(500)]);
    let id = shop.ping().await;
    shop.send().await;
    assert_eq!(
        standing(&shop.newest().await),
        json!(["dead", 1, 410, "gone"])
    );
    let root = shop.root().await;
    let replay = format!("{DELIVERIES}/{id}/replay");
    let replayed = root.post_empty(&replay).await.expect(200).body;
    assert_eq!(
        standing(&replayed["delivery"]),
        json!(["pending", 0, 410, "gone"])
    );
    shop.send().await;
    assert_eq!(
        standing(&shop.newest().await),
        json!(["pending", 1, 500, "status"])
    );
    // One that waits for its next attempt need not.
    root.post_empty(&replay).await.expect(200);
    shop.send().await;
    assert_eq!(
        standing(&shop.newest().await),
        json!(["delivered", 1, 204, null])
    );
    // And one that has arrived can arrive again, as the same event.
    root.post_empty(&replay).await.expect(200);
    shop.send().await;
    let received = shop.receiver.received();
    assert_eq!(received.len(), 4);
    assert!(
        received
            .iter()
            .all(|one| one.header("webhook-id") == received[0].header("webhook-id"))
    );
    let events: i64 = shop
        .app
        .db
        .value("select count(*) from auth.security_events where kind = 'webhook_replayed' and actor_kind = 'admin'")
        .await;
    assert_eq!(events, 3);
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_what_waits_for_it_and_for_nobody_else() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    let other = Receiver::start().await;
    other.always(Manner::Status(500));
    listen(&root, "other", &other).await;
    root.post_empty(&format!("{APPS}/other/webhook-ping"))
        .await
        .expect(201);
    shop.receiver.always(Manner::Status(500));
    for _ in 0..3 {
        shop.ping().await;
    }
    shop.send().await;
    shop.receiver.always(Manner::Status(410));
    shop.ping().await;
    shop.send().await;
    let path = format!("{DELIVERIES}?appId=shop");
    let listed = root.get(&path).await.expect(200).body;
    let deliveries = listed["deliveries"].as_array().expect("a list");
    assert_eq!(deliveries.len(), 4);
    for delivery in deliveries {
        assert_eq!(delivery["state"], "dead");
        assert_eq!(delivery["lastError"], "gone");
    }
    assert_eq!(shop.receiver.received().len(), 4, "the last told for all");
    let path = format!("{DELIVERIES}?appId=other&state=pending");
    let waiting = root.get(&path).await.expect(200).body;
    assert_eq!(waiting["deliveries"].as_array().map(Vec::len), Some(1));

    shop.receiver.always(Manner::Status(200));
    let path = format!("{APPS}/shop/webhook-replay");
    let replayed = root.post_empty(&path).await.expect(200);
    assert_eq!(replayed.body, json!({"replayed": 4}));
    assert_eq!(shop.send().await, 4);
    let again = root.post_empty(&path).await.expect(200);
    assert_eq!(again.body, json!({"replayed": 0}));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let shop = Shop::open().await;
    let elsewhere = Receiver::start().await;
    shop.receiver
        .next([Manner::Redirect(elsewhere.url.clone())]);
    shop.ping().await;
    shop.send().await;
    assert_eq!(elsewhere.n_connections(), 0);
    assert_eq!(
        standing(&shop.newest().await),
        json!(["pending", 1, 302, "redirected"])
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_four_attempts_busy_and_nobody_waiting() {
    let shop = Shop::open().await;
    let root = shop.root().await;
    shop.receiver.always(Manner::Hang);
    for _ in 0..6 {
        shop.ping().await;
    }
    let other = Receiver::start().await;
    listen(&root, "other", &other).await;
    let sending = webhooks::send_due(&shop.app.app);
    let meanwhile = async {
        while shop.receiver.received().len() < 4 {
            tokio::task::yield_now().await;
        }
        // The round is under way, and what happens now is told within it.
        root.post_empty(&format!("{APPS}/other/webhook-ping"))
            .await
            .expect(201);
        while other.received().is_empty() {
            tokio::task::yield_now().await;
        }
        shop.receiver.received().len()
    };
    let (sent, while_other_was_told) = tokio::join!(sending, meanwhile);
    assert_eq!(while_other_was_told, 4);
    assert_eq!(sent.expect("sent"), 7);
    let path = format!("{DELIVERIES}?appId=shop");
    let listed = root.get(&path).await.expect(200).body;
    for delivery in listed["deliveries"].as_array().expect("a list") {
        assert_eq!(standing(delivery), json!(["pending", 1, null, "timeout"]));
    }
}

#[tokio::test]
async fn of_a_gigabyte_hardly_anything_is_taken_and_the_event_counts_as_delivered() {
    let shop = Shop::open().await;
    shop.receiver.next([Manner::Flood]);
    shop.ping().await;
    shop.send().await;
    assert_eq!(
        standing(&shop.newest().await),
        json!(["delivered", 1, 200, null])
    );
    // What the buffers of both ends hold, and not the rest.
    let n_written = shop.receiver.n_written();
    assert!(n_written < 64 << 20, "{n_written} bytes were taken");
}

#[tokio::test]
async fn a_receiver_that_is_away_or_does_not_speak_tls_is_unreachable() {
    let shop = Shop::open().await;
    for host in [
        "http://127.0.0.1:1",
        &format!("https://127.0.0.1:{}", shop.receiver.port),
    ] {
        sqlx::query("update auth.apps set webhook_url = $1")
            .bind(host)
            .execute(&shop.app.db.owner)
            .await
            .expect("set");
        shop.ping().await;
        shop.send().await;
        let expected = json!(["pending", 1, null, "unreachable"]);
        assert_eq!(standing(&shop.newest().await), expected, "{host}");
    }
}

#[tokio::test]
async fn two_issuers_deliver_each_event_once() {
    let shop = Shop::open().await;
    let second = shop.app.second(&[]).await;
    for _ in 0..24 {
        shop.ping().await;
    }
    let (first, second) = tokio::join!(
        webhooks::send_due(&shop.app.app),
        webhooks::send_due(&second.app)
    );
    assert_eq!(first.expect("sent") + second.expect("sent"), 24);
    let received = shop.receiver.received();
    let mut ids: Vec<&str> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((received.len(), ids.len()), (24, 24));
}

#[tokio::test]
async fn what_an_issuer_left_behind_is_taken_over_when_its_lease_is_over() {
    let shop = Shop::open().await;
    shop.ping().await;
    let claim = "select count(*) from auth.claim_webhooks(64, 4, 60, 10)";
    let claimed: i64 = shop.app.db.value(claim).await;
    assert_eq!(claimed, 1);
    let root = shop.root().await;
    let id = shop.newest().await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    root.post_empty(&format!("{DELIVERIES}/{id}/replay"))
        .await
        .expect_problem(409, "conflict");
    shop.app.advance(Duration::seconds(59)).await;
    assert_eq!(shop.send().await, 0);
    shop.app.advance(Duration::seconds(1)).await;
    assert_eq!(shop.send().await, 1);
    assert_eq!(
        standing(&shop.newest().await),
        json!(["delivered", 2, 204, null])
    );
}

#[tokio::test]
async fn an_attempt_that_was_overtaken_changes_nothing() {
    let shop = Shop::open().await;
    shop.ping().await;
    let claim = "select attempt from auth.claim_webhooks(64, 4, 60, 10)";
    assert_eq!(shop.app.db.value::<i32>(claim).await, 1);
    shop.app.advance(Duration::seconds(60)).await;
    assert_eq!(shop.app.db.value::<i32>(claim).await, 2);
    let finish = "select auth.finish_webhook(d.id, 1, 'dead', 410, 'gone', 0) from auth.webhook_deliveries d";
    assert_eq!(shop.app.db.value::<i64>(finish).await, 0);
    assert_eq!(shop.newest().await["state"], "pending");
}

#[tokio::test]
async fn a_delivery_that_kills_its_sender_each_time_is_given_up() {
    let shop = Shop::open().await;
    shop.ping().await;
    let claim = "select count(*) from auth.claim_webhooks(64, 4, 60, 10)";
    for _ in 0..10 {
        assert_eq!(shop.app.db.value::<i64>(claim).await, 1);
        shop.app.advance(Duration::seconds(60)).await;
    }
    assert_eq!(shop.send().await, 0);
    assert_eq!(
        standing(&shop.newest().await),
        json!(["dead", 10, null, "abandoned"])
    );
}
