use issuer::secret::MasterKey;
use issuer::{apps, webhooks};
use time::Duration;

use super::{APPS, Shop};

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let shop = Shop::open().await;
    let path = format!("{APPS}/shop/webhook-secret");
    let rotated = shop.root().await.post_empty(&path).await.expect(200);
    let new = rotated.string("webhookSecret");
    assert_ne!(new, shop.secret);
    shop.ping().await;
    shop.send().await;
    shop.app.advance(Duration::seconds(86_399)).await;
    shop.ping().await;
    shop.send().await;
    shop.app.advance(Duration::seconds(1)).await;
    shop.ping().await;
    shop.send().await;
    let received = shop.receiver.received();
    let signed: Vec<(bool, bool, usize)> = received
        .iter()
        .map(|one| {
            let n_signatures = one.header("webhook-signature").split(' ').count();
            (
                one.is_signed_with(&new),
                one.is_signed_with(&shop.secret),
                n_signatures,
            )
        })
        .collect();
    assert_eq!(signed, [(true, true, 2), (true, true, 2), (true, false, 1)]);
    let events: i64 = shop
        .app
        .db
        .value(
            "select count(*) from auth.security_events where kind = 'app_webhook_secret_rotated'",
        )
        .await;
    assert_eq!(events, 1);
}

#[tokio::test]
async fn a_second_rotation_ends_the_first_secret() {
    let shop = Shop::open().await;
    let path = format!("{APPS}/shop/webhook-secret");
    let root = shop.root().await;
    let second = root
        .post_empty(&path)
        .await
        .expect(200)
        .string("webhookSecret");
    let third = root
        .post_empty(&path)
        .await
        .expect(200)
        .string("webhookSecret");
    shop.ping().await;
    shop.send().await;
    let one = &shop.receiver.received()[0];
    assert!(one.is_signed_with(&third) && one.is_signed_with(&second));
    assert!(!one.is_signed_with(&shop.secret));
}

#[tokio::test]
async fn secrets_outlive_a_change_of_the_master_key() {
    let shop = Shop::open().await;
    let path = format!("{APPS}/shop/webhook-secret");
    let rotated = shop.root().await.post_empty(&path).await.expect(200);
    let new = rotated.string("webhookSecret");
    let key = |byte| MasterKey::from_bytes([byte; 32]).to_base64().to_string();
    let (old_key, new_key) = (key(7), key(8));
    let changed = [
        ("MASTER_KEY", new_key.as_str()),
        ("MASTER_KEY_PREVIOUS", old_key.as_str()),
    ];
    let during = shop.app.second(&changed).await;
    shop.ping().await;
    webhooks::send_due(&during.app).await.expect("sent");
    apps::reseal(&during.app).await.expect("resealed");
    let after = shop.app.second(&changed[..1]).await;
    shop.ping().await;
    webhooks::send_due(&after.app).await.expect("sent");
    let received = shop.receiver.received();
    assert_eq!(received.len(), 2);
    for one in received {
        assert!(one.is_signed_with(&new) && one.is_signed_with(&shop.secret));
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_signs_nothing_and_is_tried_again() {
    let shop = Shop::open().await;
    sqlx::query("update auth.apps set sealed_webhook_secret = sealed_webhook_secret || '\\x00'")
        .execute(&shop.app.db.owner)
        .await
        .expect("broken");
    shop.ping().await;
    shop.send().await;
    assert_eq!(shop.receiver.n_connections(), 0);
    assert_eq!(shop.newest().await["lastError"], "secret");
}
