use poem::http::Method;

use crate::support::TestApp;

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::start_with(&[("BASE_URL", "https://id.example.com")]).await;
    for path in [
        "/health",
        "/nothing",
        "/.well-known/jwks.json",
        "/docs",
        "/openapi.json",
        "/api/v1/auth/me",
    ] {
        let answer = app.anon().get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer
                .header("strict-transport-security")
                .starts_with("max-age="),
            "{path}"
        );
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-request-id").len(), 22, "{path}");
    }
}

#[tokio::test]
async fn strict_transport_security_is_not_claimed_without_tls() {
    let app = TestApp::start().await;
    assert_eq!(
        app.anon()
            .get("/health")
            .await
            .header("strict-transport-security"),
        ""
    );
}

#[tokio::test]
async fn pages_of_unlisted_origins_may_not_read_answers() {
    let app = TestApp::start_with(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let ask = async |origin: &str| {
        app.anon()
            .call(Method::GET, "/api/v1/auth/me", &[("origin", origin)], None)
            .await
    };
    let listed = ask("https://app.example.com").await.expect(401);
    assert_eq!(
        listed.header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.com:8443",
    ] {
        assert_eq!(
            ask(origin).await.header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
}

#[tokio::test]
async fn the_docs_page_runs_only_what_was_built_in() {
    let app = TestApp::start().await;
    let page = app.anon().get("/docs").await.expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
    let script = policy
        .split(';')
        .find(|part| part.trim().starts_with("script-src"))
        .expect("a script policy");
    assert!(
        !script.contains("unsafe") && !script.contains("http"),
        "{script}"
    );
    assert!(
        !page.text.contains("src=\"http"),
        "nothing is loaded from elsewhere"
    );
}
