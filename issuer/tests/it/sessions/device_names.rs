use poem::http::Method;
use serde_json::json;

use crate::support::TestApp;
use crate::support::app::PASSWORD;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

#[tokio::test]
async fn a_device_without_a_name_is_called_after_its_user_agent() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", FIREFOX),
    ];
    for (given, expected) in [
        (json!(null), json!("Firefox on Linux")),
        (json!("Ada's laptop"), json!("Ada's laptop")),
    ] {
        let mut body = json!({"email": "ada@example.com", "password": PASSWORD, "deviceId": "d"});
        if given.is_string() {
            body["deviceName"] = given;
        }
        let anon = app.anon();
        let path = "/api/v1/auth/login";
        let login = anon
            .call(Method::POST, path, &headers, Some(body.to_string()))
            .await
            .expect(200);
        let here = anon.with_token(&login.string("accessToken"));
        let list = here.get("/api/v1/auth/sessions").await.expect(200).body;
        let current = list
            .as_array()
            .expect("a list")
            .iter()
            .find(|one| one["current"] == true);
        assert_eq!(current.expect("listed")["deviceName"], expected);
    }
}

#[tokio::test]
async fn a_device_that_says_nothing_has_no_name() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let list = ada.get("/api/v1/auth/sessions").await.expect(200).body;
    assert_eq!(list[0]["deviceName"], json!(null));
}
