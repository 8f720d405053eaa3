use poem::http::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Answer, TestApp};

const LOGIN: &str = "/api/v1/auth/login?mode=cookie";
const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";
const OWN: &str = "http://127.0.0.1:3001";
const NAME: &str = "__Host-tollgate_refresh";
const JSON: (&str, &str) = ("content-type", "application/json");

fn cookies(answer: &Answer) -> Vec<String> {
    let values = answer.headers.get_all("set-cookie").iter();
    values
        .map(|value| value.to_str().expect("ASCII").to_owned())
        .collect()
}

/// `name=value` of the refresh cookie.
fn refresh_cookie(answer: &Answer) -> String {
    let cookies = cookies(answer);
    let cookie = cookies
        .iter()
        .find(|cookie| cookie.starts_with(NAME))
        .expect("the cookie is set");
    cookie.split(';').next().expect("a pair").to_owned()
}

async fn call(
    app: &TestApp,
    path: &str,
    origin: Option<&str>,
    cookie: Option<&str>,
    body: Option<String>,
) -> Answer {
    let mut headers = Vec::new();
    headers.extend(origin.map(|origin| ("origin", origin)));
    headers.extend(cookie.map(|cookie| ("cookie", cookie)));
    headers.extend(body.as_ref().map(|_| JSON));
    app.anon().call(Method::POST, path, &headers, body).await
}

async fn login(app: &TestApp, origin: Option<&str>) -> Answer {
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    call(app, LOGIN, origin, None, Some(body)).await
}

#[tokio::test]
async fn login_in_cookie_mode_keeps_the_refresh_token_out_of_the_body() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let answer = login(&app, Some(OWN)).await.expect(200);
    assert!(answer.body.get("refreshToken").is_none(), "{}", answer.text);
    let set = cookies(&answer);
    let token = refresh_cookie(&answer)
        .split_once('=')
        .expect("a pair")
        .1
        .to_owned();
    assert_eq!(
        set[0],
        format!("{NAME}={token}; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Strict")
    );
    let access = answer.string("accessToken");
    assert_eq!(
        set[1],
        format!(
            "__Host-tollgate_access={access}; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Lax"
        )
    );
    assert_eq!(set.len(), 2);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn without_cookie_mode_no_cookie_is_set() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    for path in ["/api/v1/auth/login", "/api/v1/auth/login?mode=body"] {
        let answer = app.anon().post(path, body.clone()).await.expect(200);
        assert!(cookies(&answer).is_empty());
        answer.string("refreshToken");
    }
    app.anon()
        .post("/api/v1/auth/login?mode=jar", body)
        .await
        .expect_invalid(&["mode"]);
}

#[tokio::test]
async fn a_page_that_is_not_listed_can_use_no_cookie() {
    let app = TestApp::start_with(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    app.user("ada").await;
    let cookie = refresh_cookie(
        &login(&app, Some("https://app.example.com"))
            .await
            .expect(200),
    );
    for origin in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("https://app.example.com.evil"),
        Some("http://app.example.com"),
        Some(""),
    ] {
        let refused = login(&app, origin).await.expect_problem(403, "forbidden");
        assert!(cookies(&refused).is_empty());
        for path in [REFRESH, LOGOUT] {
            let refused = call(&app, path, origin, Some(&cookie), None)
                .await
                .expect_problem(403, "forbidden");
            assert!(cookies(&refused).is_empty());
        }
    }
    call(
        &app,
        REFRESH,
        Some("https://app.example.com"),
        Some(&cookie),
        None,
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn refresh_by_cookie_rotates_the_cookie() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let first = refresh_cookie(&login(&app, Some(OWN)).await);
    let answer = call(&app, REFRESH, Some(OWN), Some(&first), None)
        .await
        .expect(200);
    assert!(answer.body.get("refreshToken").is_none());
    answer.string("accessToken");
    let second = refresh_cookie(&answer);
    assert_ne!(first, second);
    // A tab that lost the race gets the same successor and keeps its cookie.
    let again = call(&app, REFRESH, Some(OWN), Some(&first), None)
        .await
        .expect(200);
    assert_eq!(refresh_cookie(&again), second);
}

#[tokio::test]
async fn a_refused_refresh_deletes_the_cookie_only_when_the_session_has_ended() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let first = refresh_cookie(&login(&app, Some(OWN)).await);
    let garbage = format!("{NAME}=tgr_garbage");
    let refused = call(&app, REFRESH, Some(OWN), Some(&garbage), None)
        .await
        .expect_problem(401, "invalid_refresh_token");
    assert!(cookies(&refused).is_empty());
    let mut cookie = first.clone();
    for _ in 0..2 {
        app.advance(Duration::seconds(11)).await;
        cookie = refresh_cookie(
            &call(&app, REFRESH, Some(OWN), Some(&cookie), None)
                .await
                .expect(200),
        );
    }
    app.advance(Duration::seconds(11)).await;
    let reused = call(&app, REFRESH, Some(OWN), Some(&first), None)
        .await
        .expect_problem(401, "refresh_token_reused");
    assert_eq!(cookies(&reused), forgotten());
    let ended = call(&app, REFRESH, Some(OWN), Some(&cookie), None)
        .await
        .expect_problem(401, "session_revoked");
    assert_eq!(cookies(&ended), forgotten());
    // A token in the body is not the browser's business.
    let body = json!({"refreshToken": cookie.split_once('=').expect("a pair").1}).to_string();
    let in_body = call(&app, REFRESH, None, None, Some(body))
        .await
        .expect_problem(401, "session_revoked");
    assert!(cookies(&in_body).is_empty());
}

#[tokio::test]
async fn logout_by_cookie_ends_the_session_and_deletes_the_cookies() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let answer = login(&app, Some(OWN)).await;
    let cookie = refresh_cookie(&answer);
    let out = call(&app, LOGOUT, Some(OWN), Some(&cookie), None)
        .await
        .expect(200);
    assert_eq!(cookies(&out), forgotten());
    let again = call(&app, LOGOUT, Some(OWN), Some(&cookie), None)
        .await
        .expect_problem(401, "session_revoked");
    assert_eq!(cookies(&again), forgotten());
    call(&app, LOGOUT, Some(OWN), None, None)
        .await
        .expect_problem(401, "missing_token");
}

#[tokio::test]
async fn logout_by_access_token_deletes_the_cookie_of_its_own_session_only() {
    let app = TestApp::start().await;
    let other = app.user("ada").await;
    let answer = login(&app, Some(OWN)).await;
    let cookie = refresh_cookie(&answer);
    let logout = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("cookie", cookie.as_str()),
        ];
        app.anon()
            .call(Method::POST, LOGOUT, &headers, None)
            .await
            .expect(200)
    };
    assert!(cookies(&logout(&other.access_token).await).is_empty());
    assert_eq!(
        cookies(&logout(&answer.string("accessToken")).await),
        forgotten()
    );
}

#[tokio::test]
async fn a_refresh_without_any_token_says_what_is_missing() {
    let app = TestApp::start().await;
    call(&app, REFRESH, Some(OWN), None, None)
        .await
        .expect_problem(400, "malformed_json");
    call(&app, REFRESH, Some(OWN), None, Some("{}".into()))
        .await
        .expect_invalid(&["refreshToken"]);
}

fn forgotten() -> Vec<String> {
    vec![
        format!("{NAME}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"),
        "__Host-tollgate_access=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax".into(),
    ]
}
