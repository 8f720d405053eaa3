use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Answer, MailApp};

const PATH: &str = "/api/v1/auth/verify-email";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn check_code(app: &MailApp, code: &str) -> Answer {
    app.anon()
        .post(PATH, json!({"email": "bob@example.com", "code": code}))
        .await
}

/// Five digits that are not the code.
fn other_than(code: &str) -> String {
    if code == "000000" {
        "000001".into()
    } else {
        "000000".into()
    }
}

async fn is_verified(app: &MailApp) -> bool {
    app.db
        .value("select bool_and(email_verified_at is not null) from auth.users")
        .await
}

#[tokio::test]
async fn a_link_proves_the_address_and_gives_the_bonus_once() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let token = app.one().await.token();
    let granted = "select count(*) from credits.credit_grants";
    assert_eq!(app.db.value::<i64>(granted).await, 0, "the bonus waits");
    app.verify(&token).await.expect(200);
    let bob = app.anon().login("bob@example.com", json!({})).await;
    let me = bob.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(me.body["user"]["emailVerified"], true);
    let balance = bob.get("/api/v1/credits/balance").await.expect(200);
    assert_eq!(balance.body["balance"], 150);
    app.verify(&token)
        .await
        .expect_problem(401, "invalid_credentials");
    let kinds: i64 = app
        .db
        .value("select count(*) from auth.security_events where kind = 'email_verified'")
        .await;
    assert_eq!(kinds, 1);
}

#[tokio::test]
async fn one_mailbox_has_the_bonus_once_however_it_is_spelt() {
    let app = MailApp::start().await;
    app.user("bob").await;
    let second = app.user("bob+again").await;
    let balance = second.get("/api/v1/credits/balance").await.expect(200);
    assert_eq!(balance.body["balance"], 0);
}

#[tokio::test]
async fn a_link_works_until_the_last_instant_of_a_day() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let token = app.one().await.token();
    app.advance(Duration::hours(24) - Duration::milliseconds(1))
        .await;
    app.verify(&token).await.expect(200);
    app.register("ada").await.expect(201);
    let late = app.one().await.token();
    app.advance(Duration::hours(24)).await;
    app.verify(&late)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_link_for_one_purpose_is_no_good_for_another() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let verify = app.one().await.token();
    let reset = app.reset_link("bob").await;
    app.verify(&reset)
        .await
        .expect_problem(401, "invalid_credentials");
    for path in ["confirm-email-change", "reset-password"] {
        let mut body = json!({ "token": verify });
        if path == "reset-password" {
            body["password"] = json!(PASSWORD);
        }
        let answer = app.anon().post(&format!("/api/v1/auth/{path}"), body).await;
        answer.expect_problem(401, "invalid_credentials");
    }
    app.verify(&verify).await.expect(200);
}

#[tokio::test]
async fn a_code_proves_the_address() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let code = app.one().await.code();
    check_code(&app, &other_than(&code))
        .await
        .expect_problem(401, "invalid_credentials");
    assert!(!is_verified(&app).await);
    check_code(&app, &code).await.expect(200);
    assert!(is_verified(&app).await);
    check_code(&app, &code)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_code_has_five_tries_and_the_next_mail_has_its_own() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let mail = app.one().await;
    for _ in 0..5 {
        check_code(&app, &other_than(&mail.code()))
            .await
            .expect(401);
    }
    app.advance(Duration::minutes(2)).await;
    check_code(&app, &mail.code())
        .await
        .expect_problem(401, "invalid_credentials");
    let body = json!({"email": "bob@example.com"});
    app.anon()
        .post("/api/v1/auth/resend-verification", body)
        .await
        .expect(202);
    let second = app.one().await;
    assert_ne!(second.token(), mail.token());
    check_code(&app, &second.code()).await.expect(200);
}

#[tokio::test]
async fn an_address_gets_ten_mails_a_day_and_fifty_tries() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let mut n_mails = app.deliver().await.len();
    for _ in 0..14 {
        app.advance(Duration::minutes(2)).await;
        let body = json!({"email": "bob@example.com"});
        app.anon()
            .post("/api/v1/auth/resend-verification", body)
            .await
            .expect(202);
        n_mails += app.deliver().await.len();
    }
    assert_eq!(n_mails, 10);
    sqlx::query(
        "update auth.mail_tokens set attempts = 5, last_attempt_at = created_at where attempts < 5",
    )
    .execute(&app.db.owner)
    .await
    .expect("updated");
    app.advance(Duration::hours(23)).await;
    // The first mail is older than a day, so there is room for one more, and none for a try.
    app.advance(Duration::minutes(29)).await;
    sqlx::query("update auth.mail_tokens set last_attempt_at = auth.clock()")
        .execute(&app.db.owner)
        .await
        .expect("updated");
    app.advance(Duration::minutes(3)).await;
    let body = json!({"email": "bob@example.com"});
    app.anon()
        .post("/api/v1/auth/resend-verification", body)
        .await
        .expect(202);
    let code = app.one().await.code();
    check_code(&app, &code)
        .await
        .expect_problem(401, "invalid_credentials");
    app.advance(Duration::hours(23)).await;
    app.advance(Duration::minutes(58)).await;
    check_code(&app, &code).await.expect(200);
}

#[tokio::test]
async fn a_mail_that_was_just_sent_is_not_sent_again() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    app.one().await;
    let body = json!({"email": "bob@example.com"});
    app.anon()
        .post("/api/v1/auth/resend-verification", body.clone())
        .await
        .expect(202);
    assert!(app.deliver().await.is_empty());
    app.advance(Duration::minutes(1)).await;
    app.anon()
        .post("/api/v1/auth/resend-verification", body)
        .await
        .expect(202);
    app.one().await;
}

#[tokio::test]
async fn bodies_that_name_no_proof_are_refused() {
    let app = MailApp::start().await;
    let cases: [(Value, &[&str]); 6] = [
        (json!({}), &["token"]),
        (json!({"email": "bob@example.com"}), &["token"]),
        (json!({"code": "123456"}), &["token"]),
        (json!({"token": "x", "code": "123456"}), &["token"]),
        (
            json!({"email": "bob@example.com", "code": "12345"}),
            &["code"],
        ),
        (json!({"token": "x", "extra": 1}), &["extra"]),
    ];
    for (body, fields) in cases {
        app.anon().post(PATH, body).await.expect_invalid(fields);
    }
}

#[tokio::test]
async fn proving_an_address_ends_sessions_opened_before() {
    let app = MailApp::start_with(&[("EMAIL_VERIFICATION", "off")]).await;
    app.register("bob").await.expect(201);
    let early = app.anon().login("bob@example.com", json!({})).await;
    let body = json!({"email": "bob@example.com"});
    app.anon()
        .post("/api/v1/auth/resend-verification", body)
        .await
        .expect(202);
    app.verify(&app.one().await.token()).await.expect(200);
    early
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn looking_at_a_link_changes_nothing_and_the_button_uses_it() {
    let app = MailApp::start().await;
    app.register("bob").await.expect(201);
    let mail = app.one().await;
    let (page, token) = (mail.page(), mail.token());
    assert_eq!(page, "/account/verify-email");
    let link = format!("{page}?token={token}");
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let answer = app.anon().call(method, &link, &[], None).await.expect(200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    assert!(!is_verified(&app).await, "a scanner proves nothing");
    let shown = app.anon().get(&link).await;
    assert!(shown.text.contains("method=\"post\"") && shown.text.contains(&token));
    let policy = shown.header("content-security-policy");
    assert!(
        policy.contains("style-src 'sha256-") && policy.contains("form-action 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !shown.text.contains("<script"));
    let anon = app.anon();
    let press = || anon.call(Method::POST, &page, &[FORM], Some(format!("token={token}")));
    let done = press().await.expect(200);
    assert!(done.text.contains("Address confirmed"), "{}", done.text);
    assert!(is_verified(&app).await);
    let again = press().await.expect(400);
    assert!(again.text.contains("does not work any more"));
}

#[tokio::test]
async fn pages_speak_the_readers_language_and_show_nothing_typed_as_markup() {
    let app = MailApp::start().await;
    let german = [("accept-language", "de")];
    let path = "/account/verify-email?token=%22%3E%3Cscript%3E";
    let answer = app
        .anon()
        .call(Method::GET, path, &german, None)
        .await
        .expect(200);
    assert!(
        answer.text.contains("<html lang=\"de\">") && answer.text.contains("Adresse bestätigen")
    );
    assert!(!answer.text.contains("<script>"));
    let other = app
        .anon()
        .call(Method::PUT, "/account/verify-email", &[], None)
        .await;
    other.expect_problem(405, "method_not_allowed");
}
