use poem::http::Method;
use serde_json::json;
use time::Duration;

use crate::support::TestApp;

#[tokio::test]
async fn metrics_count_requests_by_operation_and_outcome() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.anon().get("/nothing").await.expect(404);
    let text = app.anon().get("/metrics").await.expect(200).text;
    for line in [
        r#"tollgate_http_requests_total{operation="register",status="201"} 1"#,
        r#"tollgate_http_requests_total{operation="none",status="404"} 1"#,
        r#"tollgate_logins_total{outcome="success"} 1"#,
        "tollgate_password_hashing_queue 0",
        "tollgate_revocation_feed_seq 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

/// Demands lines of `/metrics`.
async fn expect_lines(app: &TestApp, lines: &[&str]) {
    let text = app.anon().get("/metrics").await.expect(200).text;
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line} is missing in\n{text}"
        );
    }
}

#[tokio::test]
async fn what_can_happen_is_there_before_it_happens() {
    let app = TestApp::start().await;
    expect_lines(
        &app,
        &[
            r#"tollgate_refreshes_total{outcome="reused"} 0"#,
            r#"tollgate_logins_total{outcome="rate_limited"} 0"#,
            r#"tollgate_mails_total{outcome="dead"} 0"#,
            r#"tollgate_webhooks_total{outcome="dead"} 0"#,
            r#"tollgate_password_hashes_total{outcome="queue_full"} 0"#,
            r#"tollgate_credit_charges_total{outcome="insufficient"} 0"#,
            r#"tollgate_credit_holds_total{act="capture",outcome="done"} 0"#,
            r#"tollgate_key_sets_served_total{purpose="access_token",answer="document"} 0"#,
            "tollgate_credits_used_total 0",
            "tollgate_rate_limit_shared_wanted 0",
            "tollgate_password_hashing_queue_limit 512",
            "tollgate_database_connections_limit 60",
            concat!(
                r#"tollgate_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn sign_ins_and_refreshes_are_counted_by_outcome() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let wrong = json!({"email": ada.email, "password": "wrong horse battery"});
    let refused = app.anon().post("/api/v1/auth/login", wrong).await;
    refused.expect(401);
    let fresh = ada.refresh(&ada.refresh_token).await.expect(200);
    ada.refresh("garbage").await.expect(401);
    ada.refresh(&fresh.string("refreshToken")).await.expect(200);
    app.advance(Duration::minutes(5)).await;
    ada.refresh(&ada.refresh_token).await.expect(401);
    expect_lines(
        &app,
        &[
            r#"tollgate_logins_total{outcome="success"} 1"#,
            r#"tollgate_logins_total{outcome="refused"} 1"#,
            r#"tollgate_refreshes_total{outcome="rotated"} 2"#,
            r#"tollgate_refreshes_total{outcome="garbage"} 1"#,
            r#"tollgate_refreshes_total{outcome="reused"} 1"#,
            r#"tollgate_password_hashes_total{outcome="done"} 3"#,
            r#"tollgate_database_transactions_total{transaction="register",outcome="ended"} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn credits_are_counted_once_when_spent_and_never_when_declined_or_replayed() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let charge = |amount: i64, key: &str| json!({"amount": amount, "appId": "shop", "description": "x", "idempotencyKey": key});
    let spend = "/api/v1/credits/use";
    ada.post(spend, charge(10, "one")).await.expect(200);
    ada.post(spend, charge(10, "one")).await.expect(200);
    ada.post(spend, charge(100_000, "two")).await.expect(402);
    let hold = json!({"amount": 20, "appId": "shop"});
    let hold = ada.post("/api/v1/credits/holds", hold).await.expect(201);
    let hold = format!(
        "/api/v1/credits/holds/{}",
        hold.body["hold"]["id"].as_str().expect("an id")
    );
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "three"),
    ];
    let body = json!({"amount": 5, "final": false}).to_string();
    let capture = format!("{hold}/capture");
    let captured = ada.call(Method::POST, &capture, &headers, Some(body));
    captured.await.expect(200);
    let release = format!("{hold}/release");
    let released = ada.call(Method::POST, &release, &[("idempotency-key", "four")], None);
    released.await.expect(200);
    expect_lines(
        &app,
        &[
            "tollgate_credits_used_total 15",
            r#"tollgate_credit_charges_total{outcome="posted"} 1"#,
            r#"tollgate_credit_charges_total{outcome="replayed"} 1"#,
            r#"tollgate_credit_charges_total{outcome="insufficient"} 1"#,
            r#"tollgate_credit_holds_total{act="place",outcome="done"} 1"#,
            r#"tollgate_credit_holds_total{act="capture",outcome="done"} 1"#,
            r#"tollgate_credit_holds_total{act="release",outcome="done"} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn what_verifiers_fetch_is_counted_by_what_they_got() {
    let app = TestApp::start().await;
    let anon = app.anon();
    for (path, n_asked) in [
        ("/.well-known/jwks.json", 2),
        ("/.well-known/revocations", 1),
    ] {
        let etag = anon.get(path).await.expect(200).header("etag").to_owned();
        for _ in 0..n_asked {
            let headers = [("if-none-match", etag.as_str())];
            anon.call(Method::GET, path, &headers, None)
                .await
                .expect(304);
        }
    }
    anon.get("/.well-known/revocations?since=0")
        .await
        .expect(200);
    expect_lines(
        &app,
        &[
            r#"tollgate_key_sets_served_total{purpose="access_token",answer="document"} 1"#,
            r#"tollgate_key_sets_served_total{purpose="access_token",answer="not_modified"} 2"#,
            r#"tollgate_revocation_feeds_served_total{answer="document"} 1"#,
            r#"tollgate_revocation_feeds_served_total{answer="delta"} 1"#,
            r#"tollgate_revocation_feeds_served_total{answer="not_modified"} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn ages_of_keys_feed_and_jobs_grow_with_the_clock() {
    let app = TestApp::start().await;
    let age = r#"tollgate_signing_key_age_seconds{purpose="access_token",state="active"}"#;
    let retiring = r#"tollgate_signing_key_age_seconds{purpose="access_token",state="retiring"}"#;
    expect_lines(
        &app,
        &[
            &format!("{age} 0"),
            "tollgate_revocation_feed_age_seconds 0",
        ],
    )
    .await;
    app.advance(Duration::days(31)).await;
    expect_lines(
        &app,
        &[
            &format!("{age} 2678400"),
            "tollgate_revocation_feed_age_seconds 2678400",
            r#"tollgate_job_age_seconds{task="revocations"} 2678400"#,
        ],
    )
    .await;
    app.maintain_keys().await;
    app.publish().await;
    app.advance(Duration::seconds(7)).await;
    expect_lines(
        &app,
        &[
            &format!("{age} 7"),
            &format!("{retiring} 7"),
            "tollgate_revocation_feed_age_seconds 7",
        ],
    )
    .await;
}

#[tokio::test]
async fn nothing_that_a_caller_sends_becomes_a_label() {
    let app = TestApp::start().await;
    let anon = app.anon();
    anon.get("/api/v1/needle").await.expect(404);
    anon.call(
        Method::PUT,
        "/health?needle",
        &[("user-agent", "needle")],
        None,
    )
    .await
    .expect(405);
    let login =
        json!({"email": "needle@example.com", "password": "needle needle", "deviceId": "needle"});
    anon.post("/api/v1/auth/login", login).await.expect(401);
    let ada = app.user("ada").await;
    let charge = json!({"amount": 1, "appId": "needle", "description": "needle"});
    ada.post("/api/v1/credits/use", charge).await.expect(200);
    let text = anon.get("/metrics").await.expect(200).text;
    assert!(!text.contains("needle"), "{text}");
}
