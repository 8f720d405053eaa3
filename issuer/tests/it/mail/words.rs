use serde_json::json;

use crate::support::MailApp;
use crate::support::app::PASSWORD;

#[tokio::test]
async fn mail_is_written_in_the_language_of_the_browser_that_registered() {
    let app = MailApp::start().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let headers = [
        ("content-type", "application/json"),
        ("accept-language", "de-AT,de;q=0.9,en;q=0.5"),
    ];
    let anon = app.anon();
    anon.call(
        poem::http::Method::POST,
        "/api/v1/auth/register",
        &headers,
        Some(body.to_string()),
    )
    .await
    .expect(201);
    let mail = app.one().await;
    assert!(
        mail.text.contains("Hallo Ada,") && mail.text.contains("Bestätige deine E-Mail-Adresse"),
        "{}",
        mail.text
    );
    assert!(mail.html.contains("<html lang=\"de\">") && mail.html.contains("bestätigen"));
}

#[tokio::test]
async fn a_new_device_is_told_of_and_a_known_one_is_not() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    assert!(
        app.deliver().await.is_empty(),
        "the first sign-in of all is no news"
    );
    ada.login("ada@example.com", json!({})).await;
    assert!(
        app.deliver().await.is_empty(),
        "the same address and program"
    );
    let elsewhere = ada.calling_from("198.51.100.7");
    elsewhere
        .login(
            "ada@example.com",
            json!({"deviceId": "phone", "deviceName": "Ada's phone"}),
        )
        .await;
    let mail = app.one().await;
    assert_eq!(mail.header("Subject"), "New sign-in to your account");
    assert!(
        mail.text.contains("Device: Ada's phone") && mail.text.contains("IP address: 198.51.100.7"),
        "{}",
        mail.text
    );
    let third = ada.calling_from("203.0.113.9");
    third
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    assert!(
        app.deliver().await.is_empty(),
        "the device is known wherever it is"
    );
}

#[tokio::test]
async fn a_reused_refresh_token_is_told_to_the_owner() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    let first = ada.refresh_token.clone();
    let second = ada.refresh(&first).await.expect(200).string("refreshToken");
    ada.refresh(&second).await.expect(200);
    app.advance(time::Duration::minutes(1)).await;
    ada.refresh(&first)
        .await
        .expect_problem(401, "refresh_token_reused");
    assert_eq!(
        app.one().await.header("Subject"),
        "We signed a device out of your account"
    );
}
