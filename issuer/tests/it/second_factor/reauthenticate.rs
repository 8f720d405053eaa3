use serde_json::json;
use time::Duration;

use super::{REAUTHENTICATE, TOTP, kinds, with_totp};
use crate::support::app::PASSWORD;
use crate::support::{Actor, TestApp};

#[tokio::test]
async fn the_password_allows_sensitive_acts_for_ten_minutes() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::minutes(10)).await;
    ada.post_empty(TOTP)
        .await
        .expect_problem(403, "reauthentication_required");
    ada.post(REAUTHENTICATE, json!({"password": PASSWORD}))
        .await
        .expect(200);
    app.advance(Duration::minutes(10) - Duration::microseconds(1))
        .await;
    let ada = renewed(&ada).await;
    ada.post_empty(TOTP).await.expect(200);
    app.advance(Duration::microseconds(1)).await;
    let ada = renewed(&ada).await;
    ada.post_empty(TOTP)
        .await
        .expect_problem(403, "reauthentication_required");
    assert!(
        kinds(&app)
            .await
            .contains(&"reauthenticated success".to_owned())
    );
}

#[tokio::test]
async fn another_session_of_the_user_stays_as_it_was() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop.login("ada@example.com", json!({})).await;
    app.advance(Duration::minutes(10)).await;
    laptop
        .post(REAUTHENTICATE, json!({"password": PASSWORD}))
        .await
        .expect(200);
    phone
        .post_empty(TOTP)
        .await
        .expect_problem(403, "reauthentication_required");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_noted() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for wrong in [
        json!({"password": "wrong password"}),
        json!({"password": "short"}),
        json!({"code": "123456"}),
    ] {
        ada.post(REAUTHENTICATE, wrong)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    assert!(
        kinds(&app)
            .await
            .contains(&"second_factor refused".to_owned())
    );
    ada.post(REAUTHENTICATE, json!({}))
        .await
        .expect_invalid(&[""]);
    ada.post(REAUTHENTICATE, json!({"secret": "x"}))
        .await
        .expect_invalid(&["secret"]);
    app.anon()
        .post(REAUTHENTICATE, json!({"password": PASSWORD}))
        .await
        .expect_problem(401, "missing_token");
}

#[tokio::test]
async fn with_two_factor_on_a_password_needs_a_code_beside_it() {
    let app = TestApp::start().await;
    let (ada, device, codes) = with_totp(&app, "ada").await;
    app.advance(Duration::minutes(10)).await;
    let code = device.code(&app, 0);
    for part in [
        json!({"password": PASSWORD}),
        json!({"code": code}),
        json!({"recoveryCode": codes[0]}),
    ] {
        ada.post(REAUTHENTICATE, part)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    let wrong = json!({"password": PASSWORD, "code": device.wrong_code(&app)});
    ada.post(REAUTHENTICATE, wrong)
        .await
        .expect_problem(401, "invalid_credentials");
    let wrong = json!({"password": "wrong password", "code": code});
    ada.post(REAUTHENTICATE, wrong)
        .await
        .expect_problem(401, "invalid_credentials");
    ada.post_empty(TOTP)
        .await
        .expect_problem(403, "reauthentication_required");
    let both = json!({"password": PASSWORD, "code": code});
    ada.post(REAUTHENTICATE, both.clone()).await.expect(200);
    ada.post(REAUTHENTICATE, both)
        .await
        .expect_problem(401, "invalid_credentials");
    let both = json!({"password": PASSWORD, "recoveryCode": codes[0]});
    ada.post(REAUTHENTICATE, both).await.expect(200);
}

#[tokio::test]
async fn an_ended_session_cannot_be_made_fresh() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    let late = ada
        .at(&second)
        .post(REAUTHENTICATE, json!({"password": PASSWORD}))
        .await;
    late.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn whoever_has_an_access_token_cannot_guess_the_password_with_it() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let ada = app.user("ada").await;
    let mut statuses = Vec::new();
    for i in 0..31 {
        let guess = json!({"password": format!("guess number {i}")});
        let from = ada.calling_from(&format!("198.51.100.{i}"));
        statuses.push(from.post(REAUTHENTICATE, guess).await.status);
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count(),
        1,
        "{statuses:?}"
    );
}

#[tokio::test]
async fn ending_other_sessions_needs_a_recent_sign_in_and_ending_ones_own_does_not() {
    let app = TestApp::start().await;
    let laptop = app.user("ada").await;
    let phone = laptop
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    let id = |device: &'static str| {
        app.db.value::<String>(match device {
            "phone" => "select id from auth.sessions where device_id = 'phone'",
            _ => "select id from auth.sessions where device_id is null",
        })
    };
    let (phone_id, laptop_id) = (id("phone").await, id("laptop").await);
    app.advance(Duration::minutes(10)).await;
    let path = |id: &str| format!("/api/v1/auth/sessions/{id}");
    let others = "/api/v1/auth/sessions/revoke-others";
    laptop
        .delete(&path(&phone_id))
        .await
        .expect_problem(403, "reauthentication_required");
    laptop
        .post_empty(others)
        .await
        .expect_problem(403, "reauthentication_required");
    phone.get("/api/v1/auth/me").await.expect(200);
    laptop
        .post(REAUTHENTICATE, json!({"password": PASSWORD}))
        .await
        .expect(200);
    laptop.delete(&path(&phone_id)).await.expect(204);
    app.advance(Duration::minutes(10)).await;
    let laptop = renewed(&laptop).await;
    laptop.delete(&path(&laptop_id)).await.expect(204);
    laptop
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}

/// With a new access token, since they live 15 minutes; a refresh shows no credential.
async fn renewed<'a>(user: &Actor<'a>) -> Actor<'a> {
    let tokens = user.refresh(&user.refresh_token).await.expect(200);
    let mut renewed = user.with_token(&tokens.string("accessToken"));
    renewed.refresh_token = tokens.string("refreshToken");
    renewed
}
