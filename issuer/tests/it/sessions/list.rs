use serde_json::json;
use time::Duration;

use crate::support::TestApp;

const PATH: &str = "/api/v1/auth/sessions";

#[tokio::test]
async fn sessions_are_listed_last_used_first_with_the_asking_one_marked() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    app.advance(Duration::minutes(1)).await;
    let phone = laptop
        .login(
            "ada@example.com",
            json!({"deviceId": "phone", "deviceName": "Ada's phone"}),
        )
        .await;
    let list = phone.get(PATH).await.expect(200).body;
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["deviceId"], "phone");
    assert_eq!(list[0]["deviceName"], "Ada's phone");
    assert_eq!(list[0]["current"], true);
    assert_eq!(list[0]["ipAddress"], "192.0.2.10");
    assert_eq!(list[0]["createdAt"], "2026-03-01T12:01:00Z");
    assert_eq!(list[0]["expiresAt"], "2026-03-08T12:01:00Z");
    assert_eq!(list[1]["current"], false);
    assert_eq!(list[1]["deviceId"], json!(null));
}

#[tokio::test]
async fn nobody_sees_sessions_of_others() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    assert_eq!(
        ada.get(PATH)
            .await
            .expect(200)
            .body
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn an_expired_session_is_not_listed() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.advance(Duration::days(7)).await;
    let again = app.anon().login("ada@example.com", json!({})).await;
    assert_eq!(
        again
            .get(PATH)
            .await
            .expect(200)
            .body
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn an_ended_session_cannot_list() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    ada.get(PATH).await.expect_problem(401, "session_revoked");
    app.anon()
        .get(PATH)
        .await
        .expect_problem(401, "missing_token");
}

#[tokio::test]
async fn past_five_hundred_sessions_the_one_used_longest_ago_ends() {
    let app = TestApp::start().await;
    let first = app.user("ada").await;
    app.db
        .value::<i64>(
            "with copies as (
               insert into auth.sessions
                 (id, user_id, nonce_hash, created_at, authenticated_at, last_used_at, access_expires_at, expires_at, absolute_expires_at)
               select lpad(n::text, 22, '0'), user_id, nonce_hash, created_at, authenticated_at, last_used_at + make_interval(secs => n),
                      access_expires_at, expires_at, absolute_expires_at
                 from auth.sessions, generate_series(1, 499) n
               returning 1)
             select count(*) from copies",
        )
        .await;
    first.get(PATH).await.expect(200);
    app.advance(Duration::minutes(10)).await;
    let last = first.login("ada@example.com", json!({})).await;
    first.get(PATH).await.expect_problem(401, "session_revoked");
    let list = last.get(PATH).await.expect(200).body;
    assert_eq!(list.as_array().map(Vec::len), Some(500));
}
