use serde_json::json;
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Actor, Answer, MailApp};

const PATH: &str = "/api/v1/auth/change-password";
const NEW: &str = "another battery staple";

async fn change(who: &Actor<'_>, current: &str, new: &str) -> Answer {
    who.post(
        PATH,
        json!({"currentPassword": current, "newPassword": new}),
    )
    .await
}

#[tokio::test]
async fn a_change_ends_the_other_sessions_keeps_this_one_and_tells_the_owner() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    let other = ada.login("ada@example.com", json!({})).await;
    let reset = app.reset_link("ada").await;
    app.advance(Duration::seconds(1)).await;
    change(&ada, PASSWORD, NEW).await.expect(200);
    ada.get("/api/v1/auth/me").await.expect(200);
    other
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    assert_eq!(
        app.one().await.header("Subject"),
        "Your password was changed"
    );
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    app.anon()
        .post("/api/v1/auth/login", body)
        .await
        .expect(401);
    let body = json!({"token": reset, "password": PASSWORD});
    let void = app.anon().post("/api/v1/auth/reset-password", body).await;
    void.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_wrong_password_changes_nothing_and_tries_are_limited() {
    let app = MailApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let ada = app.user("ada").await;
    for _ in 0..6 {
        change(&ada, "not the password", NEW)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    change(&ada, PASSWORD, NEW)
        .await
        .expect_problem(429, "rate_limited");
    app.advance(Duration::seconds(10)).await;
    change(&ada, PASSWORD, NEW).await.expect(200);
}

#[tokio::test]
async fn a_sign_in_is_recent_for_ten_minutes() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::minutes(10) - Duration::milliseconds(1))
        .await;
    change(&ada, PASSWORD, NEW).await.expect(200);
    app.advance(Duration::milliseconds(1)).await;
    change(&ada, NEW, PASSWORD)
        .await
        .expect_problem(403, "reauthentication_required");
}

#[tokio::test]
async fn nobody_else_may() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    let answer = change(&app.anon(), PASSWORD, NEW).await;
    answer.expect_problem(401, "missing_token");
    ada.post("/api/v1/auth/logout", json!({})).await.expect(200);
    change(&ada, PASSWORD, NEW)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn a_new_password_that_cannot_be_one_is_named() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    change(&ada, PASSWORD, "short")
        .await
        .expect_invalid(&["newPassword"]);
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEW, "extra": 1});
    ada.post(PATH, body).await.expect_invalid(&["extra"]);
}
