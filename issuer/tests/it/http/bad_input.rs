use poem::http::Method;
use serde_json::json;

use crate::support::TestApp;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn malformed_json_is_400() {
    let app = TestApp::start().await;
    for body in ["", "{", "{\"email\":}", "\u{feff}{}", "{} {}"] {
        for path in [
            "/api/v1/auth/register",
            "/api/v1/auth/login",
            "/api/v1/auth/refresh",
            "/api/v1/auth/validate",
        ] {
            let answer = app
                .anon()
                .call(Method::POST, path, &[JSON], Some(body.into()))
                .await;
            answer.expect_problem(400, "malformed_json");
        }
    }
}

#[tokio::test]
async fn another_content_type_or_none_is_415() {
    let app = TestApp::start().await;
    let body = || Some(json!({"token": "x"}).to_string());
    let path = "/api/v1/auth/validate";
    app.anon()
        .call(Method::POST, path, &[], body())
        .await
        .expect_problem(415, "unsupported_media_type");
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "json",
        "",
    ] {
        let answer = app
            .anon()
            .call(Method::POST, path, &[("content-type", other)], body())
            .await;
        answer.expect_problem(415, "unsupported_media_type");
    }
    for fine in ["application/json", "Application/JSON; charset=utf-8"] {
        app.anon()
            .call(Method::POST, path, &[("content-type", fine)], body())
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_and_one_of_exactly_that_is_read() {
    let app = TestApp::start().await;
    let body = |size: usize| {
        let frame = json!({"token": ""}).to_string().len();
        Some(json!({"token": "x".repeat(size - frame)}).to_string())
    };
    let path = "/api/v1/auth/validate";
    let answer = app
        .anon()
        .call(Method::POST, path, &[JSON], body(64 * 1024))
        .await
        .expect(200);
    assert_eq!(answer.body["error"], "too_large");
    app.anon()
        .call(Method::POST, path, &[JSON], body(64 * 1024 + 1))
        .await
        .expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() {
    let app = TestApp::start().await;
    app.anon()
        .get("/nothing")
        .await
        .expect_problem(404, "not_found");
    app.anon()
        .get("/api/v1/auth/nothing")
        .await
        .expect_problem(404, "not_found");
    app.anon()
        .get("/dev/mailbox")
        .await
        .expect_problem(404, "not_found");
    let answer = app
        .anon()
        .get("/api/v1/auth/login")
        .await
        .expect_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = app
        .anon()
        .call(Method::PUT, "/api/v1/auth/sessions/x", &[], None)
        .await;
    assert_eq!(
        answer
            .expect_problem(405, "method_not_allowed")
            .header("allow"),
        "DELETE"
    );
}
