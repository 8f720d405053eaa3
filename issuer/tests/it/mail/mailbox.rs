use crate::support::{MailApp, TestApp};

#[tokio::test]
async fn outside_development_there_is_no_mailbox() {
    let app = MailApp::start().await;
    for path in ["/dev/mailbox", "/dev/mailbox/1", "/dev/mailbox/1.txt"] {
        app.anon().get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn without_a_mail_server_mail_is_dropped_and_nobody_is_promised_any() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for path in ["resend-verification", "forgot-password"] {
        let body = serde_json::json!({"email": "ada@example.com"});
        let answer = app.anon().post(&format!("/api/v1/auth/{path}"), body).await;
        answer.expect_problem(403, "forbidden");
    }
    let body = serde_json::json!({"email": "new@example.com"});
    let answer = ada.post("/api/v1/auth/change-email", body).await;
    answer.expect_problem(403, "forbidden");
    let elsewhere = ada.calling_from("198.51.100.7");
    elsewhere
        .login("ada@example.com", serde_json::json!({}))
        .await;
    issuer::mail::send_due(&app.app).await.expect("done");
    let code: String = app
        .db
        .value("select last_error_code from auth.outbox where dead_at is not null")
        .await;
    assert_eq!(code, "mail_off");
}
