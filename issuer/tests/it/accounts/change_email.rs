use serde_json::json;
use time::Duration;

use crate::support::{Actor, Answer, MailApp};

async fn ask(who: &Actor<'_>, email: &str) -> Answer {
    who.post("/api/v1/auth/change-email", json!({ "email": email }))
        .await
}

async fn confirm(app: &MailApp, token: &str) -> Answer {
    let path = "/api/v1/auth/confirm-email-change";
    app.anon().post(path, json!({ "token": token })).await
}

#[tokio::test]
async fn a_new_address_counts_from_its_confirmation_and_the_old_one_is_told() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&ada, " New@Example.com ").await.expect(202);
    let mail = app.one().await;
    assert_eq!(mail.to, "new@example.com");
    let me = ada.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(me.body["user"]["email"], "ada@example.com", "nothing yet");
    confirm(&app, &mail.token()).await.expect(200);
    let told = app.one().await;
    assert_eq!(
        (told.to.as_str(), told.header("Subject").as_str()),
        ("ada@example.com", "Your e-mail address was changed")
    );
    app.anon().login("new@example.com", json!({})).await;
    confirm(&app, &mail.token())
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn tokens_with_the_old_address_are_refused_and_a_refresh_brings_the_new() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&ada, "new@example.com").await.expect(202);
    confirm(&app, &app.one().await.token()).await.expect(200);
    app.publish().await;
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    app.advance(Duration::seconds(2)).await;
    let tokens = ada.refresh(&ada.refresh_token).await.expect(200);
    let me = ada
        .with_token(&tokens.string("accessToken"))
        .get("/api/v1/auth/me")
        .await
        .expect(200);
    assert_eq!(me.body["user"]["email"], "new@example.com");
}

#[tokio::test]
async fn an_address_that_somebody_took_meanwhile_stays_theirs() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&ada, "new@example.com").await.expect(202);
    let token = app.one().await.token();
    app.register("new").await.expect(201);
    confirm(&app, &token)
        .await
        .expect_problem(401, "invalid_credentials");
    app.anon().login("ada@example.com", json!({})).await;
}

#[tokio::test]
async fn a_link_is_void_after_an_hour_and_after_a_change_of_password() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&ada, "new@example.com").await.expect(202);
    let late = app.one().await.token();
    app.advance(Duration::hours(1)).await;
    confirm(&app, &late)
        .await
        .expect_problem(401, "invalid_credentials");
    let ada = ada.login("ada@example.com", json!({})).await;
    ask(&ada, "new@example.com").await.expect(202);
    let token = app.one().await.token();
    let body =
        json!({"currentPassword": crate::support::app::PASSWORD, "newPassword": "another battery"});
    ada.post("/api/v1/auth/change-password", body)
        .await
        .expect(200);
    confirm(&app, &token)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn it_needs_a_recent_sign_in_of_a_live_session() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&app.anon(), "new@example.com")
        .await
        .expect_problem(401, "missing_token");
    app.advance(Duration::minutes(10)).await;
    ask(&ada, "new@example.com")
        .await
        .expect_problem(403, "reauthentication_required");
    ask(&ada, "nonsense").await.expect_invalid(&["email"]);
    assert!(app.deliver().await.is_empty());
}

#[tokio::test]
async fn the_page_moves_to_the_new_address() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    ask(&ada, "new@example.com").await.expect(202);
    let mail = app.one().await;
    let link = format!("{}?token={}", mail.page(), mail.token());
    app.anon().get(&link).await.expect(200);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("token={}", mail.token());
    let anon = app.anon();
    let done = anon
        .call(poem::http::Method::POST, &mail.page(), &form, Some(body))
        .await
        .expect(200);
    assert!(done.text.contains("Address changed"));
    app.anon().login("new@example.com", json!({})).await;
}
