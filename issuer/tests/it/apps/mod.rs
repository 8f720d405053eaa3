//! Apps, service credentials, and what a service may do.

use poem::http::Method;
use serde_json::json;
use time::Duration;

use crate::admin::admin;
use crate::support::{Actor, Answer, TestApp};

const APPS: &str = "/api/v1/admin/apps";
const CREDENTIALS: &str = "/api/v1/admin/service-credentials";

async fn service<'a>(
    app: &'a TestApp,
    root: &Actor<'_>,
    app_id: &str,
    more: serde_json::Value,
) -> (String, Actor<'a>) {
    let mut body = json!({"name": "gateway", "appId": app_id, "scopes": ["credits:hold"]});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let made = root.post(CREDENTIALS, body).await.expect(201);
    (
        made.string("id"),
        app.anon().with_token(&made.string("secret")),
    )
}

async fn hold(actor: &Actor<'_>, app_id: &str) -> String {
    let placed = actor
        .post(
            "/api/v1/credits/holds",
            json!({"amount": 10, "appId": app_id}),
        )
        .await
        .expect(201);
    placed.body["hold"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

async fn capture(actor: &Actor<'_>, id: &str, key: &str) -> Answer {
    let path = format!("/api/v1/credits/holds/{id}/capture");
    actor
        .call(Method::POST, &path, &[("idempotency-key", key)], None)
        .await
}

async fn release(actor: &Actor<'_>, id: &str, key: &str) -> Answer {
    let path = format!("/api/v1/credits/holds/{id}/release");
    actor
        .call(Method::POST, &path, &[("idempotency-key", key)], None)
        .await
}

#[tokio::test]
async fn an_app_is_made_shown_changed_and_disabled() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let body = json!({"appId": "shop", "name": "The shop", "audiences": ["shop"], "returnOrigins": ["https://shop.example.com"],
                      "spendLimitDay": 100, "webhookUrl": "https://shop.example.com/hooks"});
    let made = root.post(APPS, body.clone()).await.expect(201);
    let secret = made.string("webhookSecret");
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "256 bits in padded base64"
    );
    let stored: Vec<u8> = app
        .db
        .value("select sealed_webhook_secret from auth.apps")
        .await;
    assert!(
        !stored
            .windows(secret.len())
            .any(|part| part == secret.as_bytes()),
        "sealed"
    );
    root.post(APPS, body).await.expect_problem(409, "conflict");
    let put = json!({"name": "Shop"}).to_string();
    let json_type = [("content-type", "application/json")];
    let changed = root
        .call(Method::PUT, &format!("{APPS}/shop"), &json_type, Some(put))
        .await
        .expect(200);
    assert_eq!(
        (
            &changed.body["app"]["name"],
            &changed.body["app"]["spendLimitDay"]
        ),
        (&json!("Shop"), &json!(null))
    );
    let another = root
        .post_empty(&format!("{APPS}/shop/webhook-secret"))
        .await
        .expect(200);
    assert_ne!(another.string("webhookSecret"), secret);
    root.post_empty(&format!("{APPS}/shop/disable"))
        .await
        .expect(204);
    let listed = root.get(APPS).await.expect(200).body;
    assert_eq!(listed[0]["disabledAt"], "2026-03-01T12:00:00Z");
    assert!(!listed.to_string().contains("ecret"), "no secret is listed");
    root.post_empty(&format!("{APPS}/shop/enable"))
        .await
        .expect(204);
    assert!(
        root.get(&format!("{APPS}/shop")).await.expect(200).body["app"]["disabledAt"].is_null()
    );
}

#[tokio::test]
async fn what_an_app_must_not_be_is_refused_field_by_field() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let cases = [
        (json!({"appId": ".x", "name": "x"}), vec!["appId"]),
        (json!({"appId": "x", "name": ""}), vec!["name"]),
        (
            json!({"appId": "x", "name": "x", "audiences": ["a b"]}),
            vec!["audiences"],
        ),
        (
            json!({"appId": "x", "name": "x", "returnOrigins": ["http://x.example.com"]}),
            vec!["returnOrigins"],
        ),
        (
            json!({"appId": "x", "name": "x", "returnOrigins": ["https://x.example.com/path"]}),
            vec!["returnOrigins"],
        ),
        (
            json!({"appId": "x", "name": "x", "spendLimitDay": 0, "spendLimitMonth": -1}),
            vec!["spendLimitDay", "spendLimitMonth"],
        ),
        (
            json!({"appId": "x", "name": "x", "returnOrigins": ["http://localhost:3000", "https://x.example.com"]}),
            vec!["returnOrigins"],
        ),
        (
            json!({"appId": "x", "name": "x", "webhookUrl": "http://x.example.com"}),
            vec!["webhookUrl"],
        ),
        (json!({"appId": "x", "name": "x", "more": 1}), vec!["more"]),
        (
            json!({"appId": "x", "name": "x", "audiences": vec!["a"; 21]}),
            vec!["audiences"],
        ),
    ];
    for (body, fields) in cases {
        root.post(APPS, body).await.expect_invalid(&fields);
    }
    root.get(&format!("{APPS}/none"))
        .await
        .expect_problem(404, "not_found");
    root.post_empty(&format!("{APPS}/none/disable"))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn only_a_fresh_admin_changes_apps_and_credentials() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let ada = app.user("ada").await;
    let shop = json!({"appId": "shop", "name": "x"});
    let credential = json!({"name": "x", "appId": "shop", "scopes": ["credits:hold"]});
    for (path, body) in [(APPS, &shop), (CREDENTIALS, &credential)] {
        ada.post(path, body.clone())
            .await
            .expect_problem(403, "forbidden");
        ada.get(path).await.expect_problem(403, "forbidden");
        app.anon()
            .post(path, body.clone())
            .await
            .expect_problem(401, "missing_token");
    }
    app.advance(Duration::seconds(600)).await;
    for (path, body) in [(APPS, &shop), (CREDENTIALS, &credential)] {
        root.post(path, body.clone())
            .await
            .expect_problem(403, "reauthentication_required");
        root.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_as_its_hash() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.post(APPS, json!({"appId": "shop", "name": "x"}))
        .await
        .expect(201);
    let (id, gateway) = service(&app, &root, "shop", json!({})).await;
    assert!(gateway.access_token.starts_with("tgs_") && gateway.access_token.len() == 47);
    let stored: Vec<u8> = app
        .db
        .value("select secret_hash from auth.service_credentials")
        .await;
    assert_eq!(
        stored,
        issuer::secret::sha256(gateway.access_token.as_bytes())
    );
    let listed = root.get(CREDENTIALS).await.expect(200);
    assert_eq!(listed.body[0]["id"], id);
    assert!(!listed.text.contains("tgs_"));
    let problems = [
        (
            json!({"name": "x", "appId": "shop", "scopes": []}),
            vec!["scopes"],
        ),
        (
            json!({"name": "x", "appId": "shop", "scopes": ["admin"]}),
            vec!["scopes"],
        ),
        (
            json!({"name": "", "appId": "shop", "scopes": ["credits:hold"]}),
            vec!["name"],
        ),
        (
            json!({"name": "x", "appId": "shop", "scopes": ["credits:hold"], "expiresAt": "2026-03-01T12:00:00Z"}),
            vec!["expiresAt"],
        ),
    ];
    for (body, fields) in problems {
        root.post(CREDENTIALS, body).await.expect_invalid(&fields);
    }
    let unknown = json!({"name": "x", "appId": "none", "scopes": ["credits:hold"]});
    root.post(CREDENTIALS, unknown)
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_service_ends_holds_of_its_own_app_and_no_others() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    for id in ["shop", "other"] {
        root.post(APPS, json!({"appId": id, "name": "x"}))
            .await
            .expect(201);
    }
    let (_, gateway) = service(&app, &root, "shop", json!({})).await;
    let (_, stranger) = service(&app, &root, "other", json!({})).await;
    let ada = app.user("ada").await;
    let (first, second) = (hold(&ada, "shop").await, hold(&ada, "shop").await);
    capture(&stranger, &first, "a")
        .await
        .expect_problem(404, "not_found");
    release(&stranger, &first, "b")
        .await
        .expect_problem(404, "not_found");
    capture(&gateway, "AAAAAAAAAAAAAAAAAAAAAA", "c")
        .await
        .expect_problem(404, "not_found");
    let captured = capture(&gateway, &first, "d").await.expect(200);
    assert_eq!(captured.body["transaction"]["amount"], -10);
    let again = capture(&gateway, &first, "d").await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    release(&gateway, &second, "e").await.expect(200);
    let balance = ada.get("/api/v1/credits/balance").await.expect(200).body;
    assert_eq!(
        (&balance["balance"], &balance["held"]),
        (&json!(140), &json!(0))
    );
    app.user("bob").await;
    // What only users may do, a service may not.
    gateway
        .get("/api/v1/credits/balance")
        .await
        .expect_problem(401, "invalid_token");
    gateway
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_credential_ends_when_it_is_revoked_expires_or_its_app_is_disabled() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.post(APPS, json!({"appId": "shop", "name": "x"}))
        .await
        .expect(201);
    let (id, revoked) = service(&app, &root, "shop", json!({})).await;
    let (_, expiring) = service(
        &app,
        &root,
        "shop",
        json!({"expiresAt": "2026-03-01T12:01:00Z"}),
    )
    .await;
    let (_, disabled) = service(&app, &root, "shop", json!({})).await;
    let ada = app.user("ada").await;
    let held = hold(&ada, "shop").await;
    root.delete(&format!("{CREDENTIALS}/{id}"))
        .await
        .expect(204);
    root.delete(&format!("{CREDENTIALS}/{id}"))
        .await
        .expect_problem(404, "not_found");
    capture(&revoked, &held, "a")
        .await
        .expect_problem(401, "invalid_token");
    app.advance(Duration::seconds(59)).await;
    capture(&expiring, "AAAAAAAAAAAAAAAAAAAAAA", "b")
        .await
        .expect_problem(404, "not_found");
    app.advance(Duration::seconds(1)).await;
    capture(&expiring, &held, "c")
        .await
        .expect_problem(401, "invalid_token");
    root.post_empty(&format!("{APPS}/shop/disable"))
        .await
        .expect(204);
    capture(&disabled, &held, "d")
        .await
        .expect_problem(401, "invalid_token");
    let unknown = app.anon().with_token(&format!("tgs_{}", "A".repeat(43)));
    capture(&unknown, &held, "e")
        .await
        .expect_problem(401, "invalid_token");
    capture(&app.anon(), &held, "f")
        .await
        .expect_problem(401, "missing_token");
}

#[tokio::test]
async fn last_use_is_noted_at_most_once_a_minute() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.post(APPS, json!({"appId": "shop", "name": "x"}))
        .await
        .expect(201);
    let (_, gateway) = service(&app, &root, "shop", json!({})).await;
    let last_used = async || root.get(CREDENTIALS).await.expect(200).body[0]["lastUsedAt"].clone();
    assert!(last_used().await.is_null());
    for (advance, noted) in [(0, "12:00:00Z"), (59, "12:00:00Z"), (1, "12:01:00Z")] {
        app.advance(Duration::seconds(advance)).await;
        capture(&gateway, "AAAAAAAAAAAAAAAAAAAAAA", "k")
            .await
            .expect(404);
        assert_eq!(last_used().await, format!("2026-03-01T{noted}"));
    }
}
