use poem::http::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Answer, MailApp};

const NEW: &str = "another battery staple";

async fn reset(app: &MailApp, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    app.anon().post("/api/v1/auth/reset-password", body).await
}

async fn login(app: &MailApp, password: &str) -> Answer {
    let body = json!({"email": "ada@example.com", "password": password});
    app.anon().post("/api/v1/auth/login", body).await
}

#[tokio::test]
async fn a_reset_sets_the_password_ends_every_session_and_tells_the_owner() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    let token = app.reset_link("ada").await;
    reset(&app, &token, NEW).await.expect(200);
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    ada.refresh(&ada.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    login(&app, PASSWORD)
        .await
        .expect_problem(401, "invalid_credentials");
    login(&app, NEW).await.expect(200);
    assert_eq!(
        app.one().await.header("Subject"),
        "Your password was changed"
    );
}

#[tokio::test]
async fn a_reset_link_works_once() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let token = app.reset_link("ada").await;
    reset(&app, &token, NEW).await.expect(200);
    reset(&app, &token, PASSWORD)
        .await
        .expect_problem(401, "invalid_credentials");
    login(&app, NEW).await.expect(200);
}

#[tokio::test]
async fn a_reset_link_works_until_the_last_instant_of_an_hour() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let token = app.reset_link("ada").await;
    app.advance(Duration::hours(1) - Duration::milliseconds(1))
        .await;
    reset(&app, &token, NEW).await.expect(200);
    app.deliver().await;
    let late = app.reset_link("ada").await;
    app.advance(Duration::hours(1)).await;
    reset(&app, &late, PASSWORD)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_older_reset_link_is_void_once_the_password_has_changed() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let first = app.reset_link("ada").await;
    app.advance(Duration::minutes(2)).await;
    let second = app.reset_link("ada").await;
    reset(&app, &second, NEW).await.expect(200);
    reset(&app, &first, PASSWORD)
        .await
        .expect_problem(401, "invalid_credentials");
    login(&app, NEW).await.expect(200);
}

#[tokio::test]
async fn a_forged_link_is_refused_and_hashes_nothing() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let token = app.reset_link("ada").await;
    let forged = format!("{}{}", &token[..22], "A".repeat(43));
    for bad in [forged.as_str(), &token[1..], "x"] {
        reset(&app, bad, NEW)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    login(&app, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_reset_proves_an_unproven_address() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.one().await;
    let token = app.reset_link("ada").await;
    reset(&app, &token, NEW).await.expect(200);
    login(&app, NEW).await.expect(200);
    let balance: i64 = app
        .db
        .value("select sum(remaining)::bigint from credits.credit_grants")
        .await;
    assert_eq!(balance, 150);
}

#[tokio::test]
async fn banned_and_deleted_people_get_no_reset_link() {
    let app = MailApp::start().await;
    app.user("ada").await;
    sqlx::query("update auth.users set status = 'banned', status_reason = 'x'")
        .execute(&app.db.owner)
        .await
        .expect("updated");
    let body = json!({"email": "ada@example.com"});
    app.anon()
        .post("/api/v1/auth/forgot-password", body)
        .await
        .expect(202);
    assert!(app.deliver().await.is_empty());
}

#[tokio::test]
async fn a_bad_password_is_named_and_the_link_stays_good() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let token = app.reset_link("ada").await;
    reset(&app, &token, "1234567")
        .await
        .expect_invalid(&["password"]);
    reset(&app, &token, &"x".repeat(129))
        .await
        .expect_invalid(&["password"]);
    reset(&app, &token, NEW).await.expect(200);
}

#[tokio::test]
async fn the_page_sets_a_password_without_a_script() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let token = app.reset_link("ada").await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/account/reset-password";
    let post = |password: &str| {
        let body = format!("token={token}&password={password}");
        let anon = app.anon();
        async move { anon.call(Method::POST, path, &form, Some(body)).await }
    };
    let short = post("short").await.expect(422);
    assert!(short.text.contains("8 to 128") && short.text.contains(&token));
    let done = post("another+battery+staple").await.expect(200);
    assert!(done.text.contains("Password set"));
    login(&app, NEW).await.expect(200);
    post("another+battery+staple").await.expect(400);
}
