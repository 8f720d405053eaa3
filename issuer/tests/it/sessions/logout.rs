use serde_json::json;

use crate::support::TestApp;

const PATH: &str = "/api/v1/auth/logout";

#[tokio::test]
async fn logout_ends_the_session_everywhere_at_once() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let answer = ada.post_empty(PATH).await.expect(200);
    assert_eq!(answer.body, json!({"success": true}));
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    ada.refresh(&ada.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    ada.post_empty(PATH)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn logout_by_refresh_token_needs_no_access_token() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let anon = app.anon();
    anon.post(PATH, json!({"refreshToken": ada.refresh_token}))
        .await
        .expect(200);
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    anon.post(PATH, json!({"refreshToken": ada.refresh_token}))
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn logout_with_a_spent_refresh_token_ends_the_session_too() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.refresh(&ada.refresh_token).await.expect(200);
    app.anon()
        .post(PATH, json!({"refreshToken": ada.refresh_token}))
        .await
        .expect(200);
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn logout_without_any_token_is_refused() {
    let app = TestApp::start().await;
    app.anon()
        .post_empty(PATH)
        .await
        .expect_problem(401, "missing_token");
    app.anon()
        .post(PATH, json!({}))
        .await
        .expect_problem(401, "missing_token");
    app.anon()
        .post(PATH, json!({"refreshToken": "tgr_nonsense"}))
        .await
        .expect_problem(401, "invalid_refresh_token");
    app.anon()
        .post(PATH, json!({"token": "x"}))
        .await
        .expect_invalid(&["token"]);
}

#[tokio::test]
async fn logout_leaves_other_sessions_alone() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop.login("ada@example.com", json!({})).await;
    laptop.post_empty(PATH).await.expect(200);
    phone.get("/api/v1/auth/me").await.expect(200);
}
