use futures_util::future::join_all;
use time::Duration;

use crate::support::MailApp;

async fn pending(app: &MailApp) -> i64 {
    app.db
        .value("select count(*) from auth.outbox where delivered_at is null and dead_at is null")
        .await
}

#[tokio::test]
async fn a_mail_arrives_once_with_both_parts_and_is_marked_delivered() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    let mail = app.one().await;
    assert_eq!(mail.to, "ada@example.com");
    assert_eq!(mail.header("From"), "Example <no-reply@example.com>");
    assert_eq!(mail.header("Subject"), "Confirm your e-mail address");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("Date"), "Sun, 01 Mar 2026 12:00:00 +0000");
    assert!(mail.header("Message-ID").ends_with("@example.com>"));
    assert!(mail.html.contains(&mail.token()) && mail.html.contains(&mail.code()));
    assert_eq!(pending(&app).await, 0);
    assert!(app.deliver().await.is_empty(), "it is not sent again");
}

#[tokio::test]
async fn a_server_that_answers_450_then_250_gets_the_mail_once() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.reply(&["450 try later"]);
    assert!(app.deliver().await.is_empty());
    let code: String = app
        .db
        .value("select last_error_code from auth.outbox")
        .await;
    assert_eq!(code, "450");
    app.advance(Duration::seconds(5) - Duration::milliseconds(1))
        .await;
    assert!(app.deliver().await.is_empty(), "it waits its pause");
    app.advance(Duration::milliseconds(1)).await;
    app.one().await;
    app.advance(Duration::hours(2)).await;
    assert!(app.deliver().await.is_empty());
}

#[tokio::test]
async fn a_server_that_is_away_for_a_minute_loses_nothing() {
    let app = MailApp::start().await;
    app.set_down(true);
    for name in ["ada", "bob", "eve"] {
        app.register(name).await.expect(201);
    }
    for _ in 0..12 {
        assert!(app.deliver().await.is_empty());
        app.advance(Duration::seconds(5)).await;
    }
    assert_eq!(pending(&app).await, 3);
    app.set_down(false);
    app.advance(Duration::seconds(60)).await;
    let mut to: Vec<String> = app
        .deliver()
        .await
        .into_iter()
        .map(|mail| mail.to)
        .collect();
    to.sort();
    assert_eq!(
        to,
        ["ada@example.com", "bob@example.com", "eve@example.com"]
    );
    assert_eq!(pending(&app).await, 0);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_after_three_tries() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.reply(&["550 nobody here", "550 nobody here", "550 nobody here"]);
    for _ in 0..3 {
        assert!(app.deliver().await.is_empty());
        app.advance(Duration::minutes(1)).await;
    }
    assert!(
        app.deliver().await.is_empty(),
        "it is not tried a fourth time"
    );
    let dead: bool = app
        .db
        .value("select dead_at is not null and attempts = 3 and last_error_code = '550' from auth.outbox")
        .await;
    assert!(dead);
    let metrics = app.anon().get("/metrics").await.text;
    assert!(
        metrics.contains("tollgate_mails_total{outcome=\"dead\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("tollgate_mails_total{outcome=\"retry\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn each_try_carries_the_same_message_id() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    let first = app.one().await.header("Message-ID");
    // As if the issuer had died between sending and noting it.
    sqlx::query("update auth.outbox set delivered_at = null")
        .execute(&app.db.owner)
        .await
        .expect("updated");
    app.advance(Duration::seconds(180)).await;
    assert_eq!(app.one().await.header("Message-ID"), first);
}

#[tokio::test]
async fn two_issuers_at_once_send_each_mail_once() {
    let app = MailApp::start().await;
    let second = app.second().await;
    for i in 0..10 {
        app.register(&format!("user{i}")).await.expect(201);
    }
    let both = [&app.app, &second.app].map(|issuer| issuer::mail::send_due(issuer));
    for sent in join_all(both).await {
        sent.expect("sent");
    }
    let mut to: Vec<String> = app.arrived().into_iter().map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 10);
    assert_eq!(pending(&app).await, 0);
    let n: i64 = app
        .db
        .value("select sum(attempts)::bigint from auth.outbox")
        .await;
    assert_eq!(n, 10);
}

#[tokio::test]
async fn a_mail_whose_link_has_run_out_is_not_sent() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.advance(Duration::hours(24)).await;
    assert!(app.deliver().await.is_empty());
    let code: String = app
        .db
        .value("select last_error_code from auth.outbox where dead_at is not null")
        .await;
    assert_eq!(code, "obsolete");
}

#[tokio::test]
async fn outbox_and_tokens_hold_nothing_that_could_be_presented() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    let mail = app.one().await;
    let (token, code) = (mail.token(), mail.code());
    let stored: String = app
        .db
        .value("select (select string_agg(o::text, '') from auth.outbox o) || (select string_agg(t::text, '') from auth.mail_tokens t)")
        .await;
    assert!(stored.contains(&token[..22]), "the id is stored");
    assert!(
        !stored.contains(&token[22..]) && !stored.contains(&code),
        "{stored}"
    );
    app.verify(&token[..22])
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn the_backlog_is_in_the_metrics() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.set_down(true);
    app.advance(Duration::seconds(90)).await;
    app.deliver().await;
    let metrics = app.anon().get("/metrics").await.text;
    assert!(metrics.contains("tollgate_mails_waiting 1"), "{metrics}");
    assert!(
        metrics.contains("tollgate_mail_oldest_seconds 90"),
        "{metrics}"
    );
}

#[tokio::test]
async fn mail_and_links_that_are_over_are_forgotten() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    app.one().await;
    app.advance(Duration::days(29)).await;
    issuer::mail::sweep(&app.app).await.expect("swept");
    let left: (i64, i64) = sqlx::query_as(
        "select (select count(*) from auth.mail_tokens), (select count(*) from auth.outbox)",
    )
    .fetch_one(&app.db.owner)
    .await
    .expect("counted");
    assert_eq!(left, (0, 1));
    app.advance(Duration::days(2)).await;
    issuer::mail::sweep(&app.app).await.expect("swept");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.outbox")
            .await,
        0
    );
}
