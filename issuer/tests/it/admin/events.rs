use poem::http::Method;
use time::Duration;

use super::admin;
use crate::support::TestApp;

const EXPORT: &str = "/api/v1/admin/events/export";

#[tokio::test]
async fn events_are_searched_by_user_kind_and_time_in_pages() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    app.advance(Duration::seconds(60)).await;
    let bob = app.user("bob").await;
    let count = async |query: &str| {
        let answer = root
            .get(&format!("/api/v1/admin/events?{query}"))
            .await
            .expect(200);
        answer.body["events"].as_array().expect("events").len()
    };
    assert_eq!(count(&format!("user={}", bob.id)).await, 2);
    assert_eq!(count("kind=registered").await, 2);
    assert_eq!(count("from=2026-03-01T12:01:00Z").await, 2);
    assert_eq!(count("to=2026-03-01T12:01:00Z").await, 3);
    assert_eq!(count("kind=nothing").await, 0);
    let page = root.get("/api/v1/admin/events?limit=4").await.expect(200);
    let cursor = page.string("nextCursor");
    assert_eq!(count(&format!("limit=4&cursor={cursor}")).await, 1);
    for bad in ["limit=0", "from=x", "cursor=x", "kind=%00"] {
        root.get(&format!("/api/v1/admin/events?{bad}"))
            .await
            .expect_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn an_export_is_whole_disarmed_and_recorded() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let agent = [
        ("user-agent", "=cmd|' /C calc'!A0"),
        ("content-type", "application/json"),
    ];
    let body =
        serde_json::json!({"email": "root@example.com", "password": "wrong horse"}).to_string();
    app.anon()
        .call(Method::POST, "/api/v1/auth/login", &agent, Some(body))
        .await
        .expect(401);
    let csv = root.get(&format!("{EXPORT}?format=csv")).await.expect(200);
    assert!(csv.header("content-type").starts_with("text/csv"));
    assert!(csv.header("content-disposition").starts_with("attachment"));
    assert!(csv.text.contains("\"'=cmd|"), "{}", csv.text);
    assert!(
        csv.text.contains("events_exported"),
        "the export is in itself"
    );
    let lines = root
        .get(&format!("{EXPORT}?format=jsonl"))
        .await
        .expect(200);
    assert_eq!(lines.text.lines().count(), csv.text.lines().count());
    for line in lines.text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
}

#[tokio::test]
async fn an_export_needs_a_recent_sign_in_and_a_known_format() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.get(&format!("{EXPORT}?format=xml"))
        .await
        .expect_problem(422, "validation_failed");
    app.user("ada")
        .await
        .get(&format!("{EXPORT}?format=csv"))
        .await
        .expect_problem(403, "forbidden");
    app.advance(Duration::seconds(600)).await;
    root.get(&format!("{EXPORT}?format=csv"))
        .await
        .expect_problem(403, "reauthentication_required");
}
