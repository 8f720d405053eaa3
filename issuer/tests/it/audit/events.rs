//! Reading one's own events.

use crate::support::TestApp;

const PATH: &str = "/api/v1/auth/events";

#[tokio::test]
async fn own_events_are_listed_newest_first_in_pages() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    for _ in 0..3 {
        ada.login("ada@example.com", serde_json::json!({})).await;
    }
    let first = ada.get(&format!("{PATH}?limit=3")).await.expect(200);
    let kinds = |answer: &crate::support::Answer| -> Vec<String> {
        let events = answer.body["events"].as_array().expect("events");
        events
            .iter()
            .map(|event| event["kind"].as_str().expect("a kind").to_owned())
            .collect()
    };
    assert_eq!(kinds(&first), ["login"; 3]);
    let event = &first.body["events"][0];
    assert_eq!(event["outcome"], "success");
    assert_eq!(event["ipAddress"], "192.0.2.10");
    assert_eq!(event["details"]["methods"][0], "pwd");
    let cursor = first.string("nextCursor");
    let second = ada
        .get(&format!("{PATH}?limit=3&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(kinds(&second), ["login", "registered"]);
    assert!(second.body["nextCursor"].is_null());
}

#[tokio::test]
async fn nobody_reads_events_without_a_live_session() {
    let app = TestApp::start().await;
    app.anon()
        .get(PATH)
        .await
        .expect_problem(401, "missing_token");
    let ada = app.user("ada").await;
    let second = app.second(&[]).await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    ada.get(PATH).await.expect_problem(401, "session_revoked");
    // The second issuer has not read the feed yet: only the database knows.
    ada.at(&second)
        .get(PATH)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn limits_and_cursors_out_of_form_are_refused() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "cursor=AAAAAAAAAAA",
        "cursor=%00",
    ] {
        ada.get(&format!("{PATH}?{query}"))
            .await
            .expect_problem(422, "validation_failed");
    }
}
