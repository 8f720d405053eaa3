use serde_json::{Value, json};

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
