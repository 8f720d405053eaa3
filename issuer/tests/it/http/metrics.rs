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
