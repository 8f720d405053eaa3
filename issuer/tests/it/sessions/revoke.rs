use serde_json::{Value, json};
use time::Duration;

use crate::support::{Actor, TestApp};

#[tokio::test]
async fn a_session_revoked_from_another_device_has_ended() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    let id = session_of(&laptop, "phone").await;
    laptop
        .delete(&format!("/api/v1/auth/sessions/{id}"))
        .await
        .expect(204);
    phone
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    phone
        .refresh(&phone.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    laptop
        .delete(&format!("/api/v1/auth/sessions/{id}"))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn somebody_elses_session_is_answered_as_absent() {
    let app = TestApp::start().await;
    let ada = app
        .user("ada")
        .await
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    let bob = app.user("bob").await;
    let id = session_of(&ada, "phone").await;
    let theirs = bob
        .delete(&format!("/api/v1/auth/sessions/{id}"))
        .await
        .expect_problem(404, "not_found");
    let absent = bob
        .delete("/api/v1/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA")
        .await
        .expect_problem(404, "not_found");
    assert_eq!(theirs.body, absent.body);
    ada.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn revoke_others_leaves_only_this_session() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop.login("ada@example.com", json!({})).await;
    let tablet = laptop.login("ada@example.com", json!({})).await;
    let bob = app.user("bob").await;
    let answer = laptop
        .post_empty("/api/v1/auth/sessions/revoke-others")
        .await
        .expect(200);
    assert_eq!(answer.body, json!({"revoked": 2}));
    for other in [&phone, &tablet] {
        other
            .get("/api/v1/auth/me")
            .await
            .expect_problem(401, "session_revoked");
    }
    laptop.get("/api/v1/auth/me").await.expect(200);
    bob.get("/api/v1/auth/me").await.expect(200);
    let answer = laptop
        .post_empty("/api/v1/auth/sessions/revoke-others")
        .await
        .expect(200);
    assert_eq!(answer.body, json!({"revoked": 0}));
}

#[tokio::test]
async fn a_session_that_ended_at_another_issuer_cannot_end_the_others() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let laptop = app.user("ada").await;
    let phone = laptop.login("ada@example.com", json!({})).await;
    // The second issuer has not read the feed yet: only the database knows.
    laptop.post_empty("/api/v1/auth/logout").await.expect(200);
    laptop
        .at(&second)
        .post_empty("/api/v1/auth/sessions/revoke-others")
        .await
        .expect_problem(401, "session_revoked");
    laptop
        .at(&second)
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    laptop
        .at(&second)
        .get("/api/v1/auth/sessions")
        .await
        .expect_problem(401, "session_revoked");
    phone.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn revoke_all_ends_every_session_of_this_user_and_of_nobody_else() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop.login("ada@example.com", json!({})).await;
    let bob = app.user("bob").await;
    let answer = laptop.post_empty(ALL).await.expect(200);
    assert_eq!(answer.body, json!({"revoked": 2}));
    for ended in [&laptop, &phone] {
        ended
            .get("/api/v1/auth/me")
            .await
            .expect_problem(401, "session_revoked");
        ended
            .refresh(&ended.refresh_token)
            .await
            .expect_problem(401, "session_revoked");
    }
    laptop
        .post_empty(ALL)
        .await
        .expect_problem(401, "session_revoked");
    app.anon()
        .post_empty(ALL)
        .await
        .expect_problem(401, "missing_token");
    bob.get("/api/v1/auth/me").await.expect(200);
    let events: i64 = app
        .db
        .value("select count(*) from auth.security_events where kind = 'session_revoked' and outcome = 'success'")
        .await;
    assert_eq!(events, 2);
    let entries: i64 = app
        .db
        .value("select count(*) from auth.revocations where kind = 'session'")
        .await;
    assert_eq!(entries, 2);
}

#[tokio::test]
async fn throwing_others_out_needs_a_sign_in_within_ten_minutes() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    app.advance(Duration::minutes(10) - Duration::microseconds(1))
        .await;
    let phone = laptop
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    laptop.post_empty(OTHERS).await.expect(200);
    phone.get("/api/v1/auth/me").await.expect(401);
    let phone = laptop
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    let id = session_of(&laptop, "phone").await;
    app.advance(Duration::microseconds(1)).await;
    for path in [OTHERS, ALL] {
        let answer = laptop.post_empty(path).await;
        answer.expect_problem(403, "reauthentication_required");
    }
    let answer = laptop.delete(&format!("/api/v1/auth/sessions/{id}")).await;
    answer.expect_problem(403, "reauthentication_required");
    phone.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn leaving_oneself_needs_no_recent_sign_in() {
    let app = TestApp::start().await;
    let laptop = app
        .user("ada")
        .await
        .login("ada@example.com", json!({"deviceId": "laptop"}))
        .await;
    app.advance(Duration::minutes(11)).await;
    let id = session_of(&laptop, "laptop").await;
    laptop
        .delete(&format!("/api/v1/auth/sessions/{id}"))
        .await
        .expect(204);
    laptop
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}

const OTHERS: &str = "/api/v1/auth/sessions/revoke-others";
const ALL: &str = "/api/v1/auth/sessions/revoke-all";

async fn session_of(actor: &Actor<'_>, device: &str) -> String {
    let list: Value = actor.get("/api/v1/auth/sessions").await.expect(200).body;
    let session = list
        .as_array()
        .expect("a list")
        .iter()
        .find(|session| session["deviceId"] == device);
    session.expect("the device is listed")["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}
