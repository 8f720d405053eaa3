//! With verification on, nobody learns from an answer whether an address has an account.

use serde_json::{Value, json};
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Answer, MailApp};

/// Status, headers and body with everything replaced that differs from one request to the next.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
        .filter(|(name, _)| name != "x-request-id" && !name.starts_with("ratelimit-"))
        .collect();
    headers.sort();
    let mut body = answer.body.clone();
    if let Some(user) = body.get_mut("user").and_then(Value::as_object_mut) {
        let id = user.insert("id".into(), json!("…")).expect("an id");
        assert_eq!(id.as_str().map(str::len), Some(21));
        user.insert("email".into(), json!("…"));
    }
    (answer.status, headers, body)
}

async fn post(app: &MailApp, path: &str, body: Value) -> Answer {
    app.anon().post(&format!("/api/v1/auth/{path}"), body).await
}

fn person(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Somebody"})
}

#[tokio::test]
async fn register_answers_alike_for_new_unproven_and_proven_addresses() {
    let app = MailApp::start().await;
    app.user("ada").await;
    app.register("bob").await.expect(201);
    let fresh = post(&app, "register", person("new@example.com"))
        .await
        .expect(201);
    let proven = post(&app, "register", person("ada@example.com")).await;
    let unproven = post(&app, "register", person("bob@example.com")).await;
    assert_eq!(shape(&proven), shape(&fresh));
    assert_eq!(shape(&unproven), shape(&fresh));
    let known: bool = app
        .db
        .value("select exists (select from auth.users where email = 'ada@example.com' and name is null)")
        .await;
    assert!(known, "the account of the owner is as it was");
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        3
    );
}

#[tokio::test]
async fn the_id_answered_for_a_taken_address_names_nobody() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    let answer = post(&app, "register", person("ada@example.com"))
        .await
        .expect(201);
    assert_ne!(answer.body["user"]["id"], ada.id.as_str());
    let again = post(&app, "register", person("ada@example.com"))
        .await
        .expect(201);
    assert_ne!(answer.body["user"]["id"], again.body["user"]["id"]);
}

#[tokio::test]
async fn the_owner_of_a_taken_address_is_told_at_most_once_an_hour() {
    let app = MailApp::start().await;
    app.user("ada").await;
    for _ in 0..3 {
        app.register("ada").await.expect(201);
    }
    let mail = app.one().await;
    assert_eq!(mail.header("Subject"), "You already have an account");
    assert!(
        !mail.text.contains("?token="),
        "there is nothing to confirm"
    );
    app.advance(Duration::hours(1)).await;
    app.register("ada").await.expect(201);
    app.one().await;
}

#[tokio::test]
async fn whoever_registers_an_unproven_address_first_does_not_choose_its_password() {
    let app = MailApp::start().await;
    let stranger = json!({"email": "ada@example.com", "password": "the stranger's own"});
    post(&app, "register", stranger.clone()).await.expect(201);
    let strangers_link = app.one().await.token();
    app.register("ada").await.expect(201);
    let mail = app.one().await;
    assert_eq!(mail.header("Subject"), "Choose a new password");
    app.verify(&strangers_link)
        .await
        .expect_problem(401, "invalid_credentials");
    post(&app, "login", stranger.clone())
        .await
        .expect_problem(401, "invalid_credentials");
    assert!(
        app.deliver().await.is_empty(),
        "the stranger's password is gone, so no mail goes out for it"
    );
    let body = json!({"token": mail.token(), "password": PASSWORD});
    post(&app, "reset-password", body).await.expect(200);
    app.anon().login("ada@example.com", json!({})).await;
    post(&app, "login", stranger)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn login_to_an_unproven_account_answers_as_a_wrong_password_and_mails_again() {
    let app = MailApp::start().await;
    app.user("ada").await;
    app.register("bob").await.expect(201);
    app.one().await;
    app.advance(Duration::minutes(1)).await;
    let login = |email: &str, password: &str| json!({"email": email, "password": password});
    let wrong = post(&app, "login", login("ada@example.com", "not the password")).await;
    let wrong = wrong.expect_problem(401, "invalid_credentials");
    let unproven = post(&app, "login", login("bob@example.com", PASSWORD)).await;
    let unknown = post(&app, "login", login("eve@example.com", PASSWORD)).await;
    assert_eq!(shape(&unproven), shape(&wrong));
    assert_eq!(shape(&unknown), shape(&wrong));
    let mail = app.one().await;
    assert_eq!(mail.to, "bob@example.com");
    post(&app, "login", login("bob@example.com", "not the password")).await;
    assert!(
        app.deliver().await.is_empty(),
        "a wrong password sends nothing"
    );
    app.verify(&mail.token()).await.expect(200);
    app.anon().login("bob@example.com", json!({})).await;
}

#[tokio::test]
async fn asking_for_mail_answers_alike_whoever_has_the_address() {
    let app = MailApp::start().await;
    app.user("ada").await;
    app.register("bob").await.expect(201);
    for path in ["resend-verification", "forgot-password"] {
        let ask = async |email: &str| {
            shape(
                &post(&app, path, json!({ "email": email }))
                    .await
                    .expect(202),
            )
        };
        let unknown = ask("eve@example.com").await;
        assert_eq!(ask("ada@example.com").await, unknown, "{path}");
        assert_eq!(ask("bob@example.com").await, unknown, "{path}");
    }
}

#[tokio::test]
async fn changing_to_a_taken_address_answers_alike_and_tells_its_owner() {
    let app = MailApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    let change = async |email: &str| {
        let answer = ada
            .post("/api/v1/auth/change-email", json!({ "email": email }))
            .await;
        shape(&answer.expect(202))
    };
    assert_eq!(
        change("bob@example.com").await,
        change("new@example.com").await
    );
    let mut mails = app.deliver().await;
    mails.sort_by(|a, b| a.to.cmp(&b.to));
    let told: Vec<_> = mails
        .iter()
        .map(|mail| (mail.to.as_str(), mail.header("Subject")))
        .collect();
    let expected = [
        ("bob@example.com", "You already have an account".to_owned()),
        (
            "new@example.com",
            "Confirm your new e-mail address".to_owned(),
        ),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn limits_count_an_address_whether_or_not_it_exists() {
    let app = MailApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    app.user("ada").await;
    for email in ["ada@example.com", "eve@example.com"] {
        let mut statuses = Vec::new();
        for _ in 0..8 {
            statuses.push(
                post(&app, "forgot-password", json!({ "email": email }))
                    .await
                    .status,
            );
        }
        assert_eq!(
            statuses,
            [202, 202, 202, 202, 202, 202, 429, 429],
            "{email}"
        );
    }
}

#[tokio::test]
async fn a_code_for_an_unknown_address_is_refused_like_a_wrong_one() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let code = app.one().await.code();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let check = async |email: &str, code: &str| {
        post(&app, "verify-email", json!({"email": email, "code": code})).await
    };
    let refused = check("bob@example.com", wrong)
        .await
        .expect_problem(401, "invalid_credentials");
    assert_eq!(
        shape(&check("eve@example.com", &code).await),
        shape(&refused)
    );
}

#[tokio::test]
async fn with_verification_off_a_taken_address_is_said_to_be() {
    let app = MailApp::start_with(&[("EMAIL_VERIFICATION", "off")]).await;
    app.register("ada").await.expect(201);
    app.register("ada").await.expect_problem(409, "email_taken");
    app.anon().login("ada@example.com", json!({})).await;
}
