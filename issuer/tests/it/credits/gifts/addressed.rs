//! Gifts to an address: redeemed by whoever proves it, once, and never said to whom.

use serde_json::{Value, json};
use sqlx::Executor;
use time::Duration;

use super::{GIFTS, WEEK, cancel, give, redeem};
use crate::credits::ledger::{balance, buy};
use crate::support::{Actor, MailApp};

const QUIET: [(&str, &str); 2] = [("CREDITS_SIGNUP_BONUS", "0"), ("CREDITS_DAILY_FREE", "0")];

/// Somebody with a proven address who bought 200 a week ago, and nothing in the mail.
async fn giver(app: &MailApp) -> Actor<'_> {
    let ada = app.user("ada").await;
    buy(app, &ada, "p1", 200, None).await;
    app.advance(WEEK).await;
    let ada = ada.login(&ada.email, json!({})).await;
    app.deliver().await;
    ada
}

async fn give_to(user: &Actor<'_>, amount: i64, name: &str) -> Value {
    let to = json!({"recipientEmail": format!("{name}@example.com")});
    give(user, amount, to).await.expect(201).body
}

/// Proves the address of a registration by the link that was mailed.
async fn prove<'a>(app: &'a MailApp, name: &str) -> Actor<'a> {
    let mails = app.deliver().await;
    let mail = mails.iter().find(|mail| mail.text.contains("?token="));
    let token = mail.expect("a mail with a link").token();
    app.verify(&token).await.expect(200);
    app.anon()
        .login(&format!("{name}@example.com"), json!({}))
        .await
}

async fn finish(app: &MailApp) {
    let mut connection = app.db.as_issuer().await;
    let incidents = issuer::credits::reconcile(&mut connection).await;
    assert_eq!(incidents.expect("reconciled"), []);
}

#[tokio::test]
async fn unregistered_address_gets_it_when_it_registers_and_is_proven() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    ada.patch("/api/v1/auth/me", json!({"name": "Ada"}))
        .await
        .expect(200);
    let to = json!({"recipientEmail": " Bob@Example.com ", "message": "Happy birthday!"});
    give(&ada, 50, to).await.expect(201);
    let mail = app.one().await;
    assert_eq!(mail.to, "bob@example.com");
    for words in ["Credits: 50", "From: Ada", "Message: Happy birthday!"] {
        assert!(
            mail.text.contains(words)
                && mail
                    .html
                    .contains(words.split(": ").nth(1).expect("a value"))
        );
    }
    app.register("bob").await.expect(201);
    let status: String = app.db.value("select status from credits.gifts").await;
    assert_eq!(status, "waiting", "registered is not proven");
    let bob = prove(&app, "bob").await;
    assert_eq!(balance(&bob).await, 50);
    let received = &bob.get(GIFTS).await.expect(200).body[0];
    assert_eq!(
        (&received["giverName"], &received["status"]),
        (&json!("Ada"), &json!("redeemed"))
    );
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn proving_twice_redeems_once() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    app.register("bob").await.expect(201);
    let bob = prove(&app, "bob").await;
    // The owner of the mailbox proves it again by a reset.
    let link = app.reset_link("bob").await;
    let reset = json!({"token": link, "password": "correct horse battery"});
    app.anon()
        .post("/api/v1/auth/reset-password", reset)
        .await
        .expect(200);
    issuer::credits::sweep_gifts(&app.app).await.expect("swept");
    let bob = bob.login(&bob.email, json!({})).await;
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn reset_link_proves_the_address_too() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    app.register("bob").await.expect(201);
    app.deliver().await;
    give_to(&ada, 50, "bob").await;
    app.deliver().await;
    let link = app.reset_link("bob").await;
    let reset = json!({"token": link, "password": "correct horse battery"});
    app.anon()
        .post("/api/v1/auth/reset-password", reset)
        .await
        .expect(200);
    let bob = app.anon().login("bob@example.com", json!({})).await;
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn proven_address_has_it_at_once_and_is_told() {
    let app = MailApp::start_with(&QUIET).await;
    let bob = app.user("bob").await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    let mail = app.one().await;
    assert_eq!(mail.to, "bob@example.com");
    assert!(mail.text.contains("in your account already"));
    let bob = bob.login(&bob.email, json!({})).await;
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn address_proven_elsewhere_gets_it_when_its_account_is_opened() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    // As an import and the first admin come.
    let opened = app.db.owner.execute(
        "insert into auth.users (id, email, email_verified_at, created_at, updated_at)
         values (repeat('b', 21), 'bob@example.com', auth.clock(), auth.clock(), auth.clock());
         select credits.open_account(repeat('b', 21), 0, sha256(''))",
    );
    opened.await.expect("opened");
    let available: i64 = app
        .db
        .value("select credits.available(id, auth.clock()) from credits.accounts where user_id = repeat('b', 21)")
        .await;
    assert_eq!(available, 50);
    drop(ada);
    finish(&app).await;
}

#[tokio::test]
async fn answer_does_not_say_whether_somebody_has_the_address() {
    let app = MailApp::start_with(&QUIET).await;
    app.user("proven").await;
    app.register("unproven").await.expect(201);
    app.deliver().await;
    let ada = giver(&app).await;
    let mut answers = Vec::new();
    for name in ["proven", "unproven", "nobody"] {
        let mut answer = give_to(&ada, 10, name).await;
        assert_eq!(
            answer["gift"]["recipientEmail"],
            format!("{name}@example.com")
        );
        for member in ["id", "recipientEmail"] {
            answer["gift"][member] = Value::Null;
        }
        answer["code"] = Value::Null;
        answer["balance"] = Value::Null;
        answers.push(answer);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    drop(ada);
    finish(&app).await;
}

#[tokio::test]
async fn whoever_owns_the_address_at_the_time_gets_it() {
    let app = MailApp::start_with(&QUIET).await;
    let bob = app.user("bob").await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "new").await;
    app.deliver().await;
    // Bob moves to the address that the gift is for.
    let bob = bob.login(&bob.email, json!({})).await;
    let change = json!({"email": "new@example.com"});
    let answer = bob.post("/api/v1/auth/change-email", change).await;
    assert!(matches!(answer.status, 200 | 202 | 204), "{}", answer.text);
    let mails = app.deliver().await;
    let mail = mails.iter().find(|mail| mail.to == "new@example.com");
    let token = mail.expect("a mail to the new address").token();
    let confirm = json!({ "token": token });
    let confirmed = app
        .anon()
        .post("/api/v1/auth/confirm-email-change", confirm)
        .await;
    assert!(matches!(confirmed.status, 200 | 204), "{}", confirmed.text);
    let bob = app.anon().login("new@example.com", json!({})).await;
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn code_of_an_addressed_gift_is_good_for_its_address_only() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    let code = give_to(&ada, 50, "bob").await["code"].clone();
    let code = code.as_str().expect("a code").to_owned();
    app.deliver().await;
    let eve = app.user("eve").await;
    redeem(&eve, &code).await.expect_problem(404, "not_found");
    assert_eq!(balance(&eve).await, 0);
    app.deliver().await;
    app.register("bob").await.expect(201);
    let bob = prove(&app, "bob").await;
    let again = redeem(&bob, &code).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob, eve));
    finish(&app).await;
}

#[tokio::test]
async fn gift_taken_back_is_not_announced_and_not_redeemed() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    let gift = give_to(&ada, 50, "bob").await["gift"].clone();
    cancel(&ada, gift["id"].as_str().expect("an id"))
        .await
        .expect(200);
    assert_eq!(app.deliver().await.len(), 0);
    app.register("bob").await.expect(201);
    let bob = prove(&app, "bob").await;
    assert_eq!(balance(&bob).await, 0);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn gift_that_lapsed_before_the_proof_went_back() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    app.deliver().await;
    app.advance(Duration::days(90)).await;
    app.register("bob").await.expect(201);
    let bob = prove(&app, "bob").await;
    assert_eq!(balance(&bob).await, 0);
    let ada = ada.login(&ada.email, json!({})).await;
    assert_eq!(balance(&ada).await, 200);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn what_could_not_be_redeemed_is_redeemed_by_the_sweep() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    app.deliver().await;
    freeze(&app, &ada, true).await;
    app.register("bob").await.expect(201);
    let bob = prove(&app, "bob").await;
    assert_eq!(balance(&bob).await, 0, "the giver is frozen");
    issuer::credits::sweep_gifts(&app.app).await.expect("swept");
    assert_eq!(balance(&bob).await, 0, "still frozen");
    freeze(&app, &ada, false).await;
    issuer::credits::sweep_gifts(&app.app).await.expect("swept");
    assert_eq!(balance(&bob).await, 50);
    drop((ada, bob));
    finish(&app).await;
}

#[tokio::test]
async fn gift_whose_issuer_stopped_is_announced_once_by_the_sweep() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 50, "bob").await;
    assert_eq!(app.deliver().await.len(), 1);
    // As if nothing had happened after the gift was made.
    let forget = "update credits.gifts set announced_at = null";
    sqlx::query(forget)
        .execute(&app.db.owner)
        .await
        .expect("forgotten");
    let forget = "delete from auth.outbox where payload ->> 'template' = 'gift_waiting'";
    sqlx::query(forget)
        .execute(&app.db.owner)
        .await
        .expect("forgotten");
    issuer::credits::sweep_gifts(&app.app).await.expect("swept");
    assert_eq!(app.deliver().await.len(), 0, "its issuer may be about to");
    app.advance(Duration::seconds(30)).await;
    for _ in 0..2 {
        issuer::credits::sweep_gifts(&app.app).await.expect("swept");
    }
    assert_eq!(app.deliver().await.len(), 1);
    drop(ada);
    finish(&app).await;
}

#[tokio::test]
async fn erased_people_leave_no_trace_in_gifts() {
    let app = MailApp::start_with(&QUIET).await;
    let bob = app.user("bob").await;
    let ada = giver(&app).await;
    let message = json!({"recipientEmail": "bob@example.com", "message": "private"});
    give(&ada, 10, message).await.expect(201);
    let message = json!({"recipientEmail": "carol@example.com", "message": "private"});
    give(&ada, 10, message).await.expect(201);
    app.deliver().await;
    let bob = bob.login(&bob.email, json!({})).await;
    for user in [&bob, &ada] {
        let sql = "select auth.delete_user($1, '{\"actorKind\": \"system\"}')";
        sqlx::query(sql)
            .bind(&user.id)
            .execute(&app.db.owner)
            .await
            .expect("deleted");
    }
    app.advance(Duration::days(30)).await;
    let sql = "select auth.erase_due_users()";
    sqlx::query(sql)
        .execute(&app.db.owner)
        .await
        .expect("erased");
    let left: Vec<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "select status, recipient_email, message from credits.gifts order by status",
    )
    .fetch_all(&app.db.owner)
    .await
    .expect("gifts");
    // The one that waits still needs its address; it goes with the gift's end.
    let carol = Some("carol@example.com".to_owned());
    assert_eq!(
        left,
        [
            ("redeemed".into(), None, None),
            ("waiting".into(), carol, None)
        ]
    );
    app.register("carol").await.expect(201);
    let carol = prove(&app, "carol").await;
    assert_eq!(balance(&carol).await, 10);
    let n_left: i64 = app
        .db
        .value("select count(*) from credits.gifts where recipient_email is not null")
        .await;
    assert_eq!(n_left, 0);
    drop((ada, bob, carol));
    finish(&app).await;
}

#[tokio::test]
async fn gifts_are_in_the_export() {
    let app = MailApp::start_with(&QUIET).await;
    let ada = giver(&app).await;
    give_to(&ada, 10, "bob").await;
    let export = ada.get("/api/v1/auth/export").await.expect(200);
    assert_eq!(export.body["gifts"][0]["recipientEmail"], "bob@example.com");
    drop(ada);
    finish(&app).await;
}

async fn freeze(app: &MailApp, user: &Actor<'_>, freeze: bool) {
    let sql = match freeze {
        true => {
            "insert into credits.freezes (account_id, id, reason, created_at)
                 select id, 'f', 'dispute', auth.clock() from credits.accounts where user_id = $1"
        }
        false => {
            "update credits.freezes f set lifted_at = auth.clock() from credits.accounts a
                   where a.id = f.account_id and a.user_id = $1"
        }
    };
    sqlx::query(sql)
        .bind(&user.id)
        .execute(&app.db.owner)
        .await
        .expect("done");
}
