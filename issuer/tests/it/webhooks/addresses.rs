use issuer::webhooks;
use poem::http::Method;
use serde_json::json;
use time::Duration;

use super::APPS;
use super::receiver::Receiver;
use crate::admin::admin;
use crate::support::TestApp;

#[tokio::test]
async fn outside_development_a_url_that_leads_inside_is_not_taken() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let url = |url: &str| json!({"appId": "shop", "name": "x", "webhookUrl": url});
    for bad in [
        "http://shop.example.com/hooks",
        "http://localhost/hooks",
        "https://localhost/hooks",
        "https://shop.localhost./hooks",
        "https://127.0.0.1/hooks",
        "https://2130706433/hooks",
        "https://10.1.2.3/hooks",
        "https://172.16.0.1/hooks",
        "https://192.168.1.1/hooks",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/hooks",
        "https://[::1]/hooks",
        "https://[fc00::7]/hooks",
        "https://[fe80::1]/hooks",
        "https://[::ffff:10.0.0.1]/hooks",
        "https://user:pass@shop.example.com/hooks",
        "https://shop.example.com/#x",
        "ftp://shop.example.com/",
        "hooks",
    ] {
        let refused = root.post(APPS, url(bad)).await;
        refused.expect_invalid(&["webhookUrl"]);
    }
    let origin = json!({"appId": "shop", "name": "x", "returnOrigins": ["https://10.1.2.3"]});
    let refused = root
        .post(APPS, origin)
        .await
        .expect_invalid(&["returnOrigins"]);
    let words = "must not lead to a private, loopback or other special address";
    assert_eq!(refused.body["errors"][0]["message"], words);
    let good = root.post(APPS, url("https://shop.example.com/hooks")).await;
    good.expect(201);
    let update = json!({"name": "x", "webhookUrl": "https://10.1.2.3/"}).to_string();
    let json_type = [("content-type", "application/json")];
    let path = format!("{APPS}/shop");
    let refused = root
        .call(Method::PUT, &path, &json_type, Some(update))
        .await;
    refused.expect_invalid(&["webhookUrl"]);
}

#[tokio::test]
async fn an_address_inside_is_not_called_whatever_the_database_says() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let receiver = Receiver::start().await;
    let made = json!({"appId": "shop", "name": "x", "webhookUrl": "https://shop.example.com/"});
    root.post(APPS, made).await.expect(201);
    let pinged = root.post_empty(&format!("{APPS}/shop/webhook-ping")).await;
    pinged.expect(201);
    let port = receiver.port;
    let places = [
        // By number, by name, and by a number that is written as a name.
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://10.0.0.1/".into(),
        "https://169.254.169.254/latest".into(),
        "https://[fc00::1]/".into(),
        "https://[::ffff:10.0.0.1]/".into(),
        "nonsense".into(),
    ];
    for place in places {
        sqlx::query("update auth.apps set webhook_url = $1")
            .bind(&place)
            .execute(&app.db.owner)
            .await
            .expect("set");
        sqlx::query("update auth.webhook_deliveries set due_at = auth.clock(), attempts = 0, last_error = null")
            .execute(&app.db.owner)
            .await
            .expect("due");
        assert_eq!(webhooks::send_due(&app.app).await.expect("sent"), 1);
        let error: String = app
            .db
            .value("select last_error from auth.webhook_deliveries")
            .await;
        assert_eq!(error, "address", "{place}");
        app.advance(Duration::seconds(60)).await;
    }
    assert_eq!(receiver.n_connections(), 0);
}
