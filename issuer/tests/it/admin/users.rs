use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use super::admin;
use crate::support::{Actor, Answer, MailApp, TestApp};

const USERS: &str = "/api/v1/admin/users";
const JSON: (&str, &str) = ("content-type", "application/json");

async fn set_role(actor: &Actor<'_>, id: &str, role: &str) -> Answer {
    let body = json!({ "role": role }).to_string();
    actor
        .call(Method::PATCH, &format!("{USERS}/{id}"), &[JSON], Some(body))
        .await
}

/// Every act on a user, as method, path behind the id, and body.
fn acts() -> Vec<(Method, &'static str, Option<Value>)> {
    vec![
        (Method::POST, "/ban", Some(json!({"reason": "spam"}))),
        (Method::POST, "/unban", None),
        (Method::PATCH, "", Some(json!({"role": "user"}))),
        (Method::POST, "/force-password-reset", None),
        (Method::DELETE, "/sessions", None),
        (Method::DELETE, "", None),
        (Method::POST, "/restore", None),
        (
            Method::POST,
            "/impersonate",
            Some(json!({"reason": "help"})),
        ),
    ]
}

async fn attempt(actor: &Actor<'_>, id: &str, act: &(Method, &str, Option<Value>)) -> Answer {
    let (method, path, body) = act;
    let headers: &[(&str, &str)] = if body.is_some() { &[JSON] } else { &[] };
    let body = body.as_ref().map(ToString::to_string);
    actor
        .call(
            method.clone(),
            &format!("{USERS}/{id}{path}"),
            headers,
            body,
        )
        .await
}

#[tokio::test]
async fn users_without_the_role_are_refused_by_their_token() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    for act in acts() {
        attempt(&ada, &bob.id, &act)
            .await
            .expect_problem(403, "forbidden");
        attempt(&app.anon(), &bob.id, &act)
            .await
            .expect_problem(401, "missing_token");
    }
    for path in [
        USERS.to_owned(),
        format!("{USERS}/{}", bob.id),
        "/api/v1/admin/events".into(),
    ] {
        ada.get(&path).await.expect_problem(403, "forbidden");
        app.anon()
            .get(&path)
            .await
            .expect_problem(401, "missing_token");
    }
}

#[tokio::test]
async fn a_token_that_still_says_admin_is_refused_by_the_database() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    sqlx::query("update auth.users set role = 'user' where id = $1")
        .bind(&root.id)
        .execute(&app.db.owner)
        .await
        .expect("demoted behind the token's back");
    for act in acts() {
        attempt(&root, &bob.id, &act)
            .await
            .expect_problem(403, "forbidden");
    }
    for path in [
        USERS.to_owned(),
        format!("{USERS}/{}", bob.id),
        "/api/v1/admin/events".into(),
    ] {
        root.get(&path).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn changes_need_a_sign_in_within_ten_minutes_and_reading_does_not() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    app.advance(Duration::seconds(599)).await;
    attempt(&root, &bob.id, &acts()[4]).await.expect(204);
    app.advance(Duration::seconds(1)).await;
    for act in acts() {
        attempt(&root, &bob.id, &act)
            .await
            .expect_problem(403, "reauthentication_required");
    }
    root.get(USERS).await.expect(200);
}

#[tokio::test]
async fn a_ban_signs_out_and_keeps_out_until_it_ends() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let path = format!("{USERS}/{}", bob.id);
    let until = "2026-03-01T12:05:00Z";
    root.post(
        &format!("{path}/ban"),
        json!({"reason": "spam", "until": until}),
    )
    .await
    .expect(204);
    app.publish().await;
    bob.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    bob.refresh(&bob.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    let credentials = json!({"email": bob.email, "password": crate::support::app::PASSWORD});
    app.anon()
        .post("/api/v1/auth/login", credentials.clone())
        .await
        .expect_problem(401, "invalid_credentials");
    let shown = root.get(&path).await.expect(200).body;
    assert_eq!(shown["user"]["status"], "banned");
    assert_eq!(shown["user"]["statusReason"], "spam");
    app.advance(Duration::seconds(299)).await;
    app.anon()
        .post("/api/v1/auth/login", credentials.clone())
        .await
        .expect_problem(401, "invalid_credentials");
    app.advance(Duration::seconds(1)).await;
    app.anon()
        .post("/api/v1/auth/login", credentials)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_ban_can_be_taken_back_once() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let path = format!("{USERS}/{}", bob.id);
    root.post(&format!("{path}/ban"), json!({"reason": "spam"}))
        .await
        .expect(204);
    root.post_empty(&format!("{path}/unban")).await.expect(204);
    root.post_empty(&format!("{path}/unban"))
        .await
        .expect_problem(409, "conflict");
    app.user("carl").await;
    bob.login(&bob.email, json!({})).await;
}

#[tokio::test]
async fn the_last_admin_cannot_be_banned_demoted_or_deleted() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    let own = format!("{USERS}/{}", root.id);
    set_role(&root, &root.id, "user")
        .await
        .expect_problem(409, "conflict");
    root.delete(&own).await.expect_problem(409, "conflict");
    root.post(&format!("{own}/ban"), json!({"reason": "x"}))
        .await
        .expect_problem(409, "conflict");
    let second = admin(&app, "second").await;
    set_role(&root, &root.id, "user").await.expect(204);
    set_role(&second, &second.id, "user")
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn two_admins_who_demote_each_other_leave_one() {
    let app = TestApp::start().await;
    let (one, two) = (admin(&app, "one").await, admin(&app, "two").await);
    let (a, b) = tokio::join!(
        set_role(&one, &two.id, "user"),
        set_role(&two, &one.id, "user")
    );
    let admins: i64 = app
        .db
        .value("select count(*) from auth.users where role = 'admin'")
        .await;
    assert_eq!(admins, 1, "{} {}", a.text, b.text);
}

#[tokio::test]
async fn a_new_role_comes_with_the_next_refresh_and_losing_it_signs_out() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    set_role(&root, &bob.id, "admin").await.expect(204);
    app.publish().await;
    bob.get(USERS).await.expect_problem(401, "session_revoked");
    let tokens = bob.refresh(&bob.refresh_token).await.expect(200);
    bob.with_token(&tokens.string("accessToken"))
        .get(USERS)
        .await
        .expect(200);
    set_role(&root, &bob.id, "user").await.expect(204);
    bob.refresh(&tokens.string("refreshToken"))
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn a_voided_password_signs_nobody_in() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    root.post_empty(&format!("{USERS}/{}/force-password-reset", bob.id))
        .await
        .expect(204);
    let credentials = json!({"email": bob.email, "password": crate::support::app::PASSWORD});
    app.anon()
        .post("/api/v1/auth/login", credentials)
        .await
        .expect_problem(401, "invalid_credentials");
    bob.refresh(&bob.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn an_admin_does_not_void_their_own_password() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.post_empty(&format!("{USERS}/{}/force-password-reset", root.id))
        .await
        .expect_problem(409, "conflict");
    root.login(&root.email, json!({})).await;
}

#[tokio::test]
async fn a_forced_reset_mails_the_link_that_ends_it() {
    let app = MailApp::start().await;
    let (root, bob) = (app.user("root").await, app.user("bob").await);
    app.db
        .value::<String>(
            "update auth.users set role = 'admin' where email like 'root@%' returning id",
        )
        .await;
    let root = app.anon().login(&root.email, json!({})).await;
    app.advance(Duration::minutes(2)).await;
    root.post_empty(&format!("{USERS}/{}/force-password-reset", bob.id))
        .await
        .expect(204);
    let mail = app.one().await;
    assert_eq!(mail.to, bob.email);
    let password = "another good passphrase";
    let body = json!({"token": mail.token(), "password": password});
    app.anon()
        .post("/api/v1/auth/reset-password", body)
        .await
        .expect(200);
    let credentials = json!({"email": bob.email, "password": password});
    app.anon()
        .post("/api/v1/auth/login", credentials)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_deleted_user_can_be_restored_unless_the_address_is_taken() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let path = format!("{USERS}/{}", bob.id);
    root.delete(&path).await.expect(204);
    root.delete(&path).await.expect_problem(404, "not_found");
    let shown = root.get(&path).await.expect(200).body;
    assert_eq!(shown["user"]["status"], "deleted");
    assert_eq!(shown["user"]["eraseAfter"], "2026-03-31T12:00:00Z");
    root.post_empty(&format!("{path}/restore"))
        .await
        .expect(204);
    bob.login(&bob.email, json!({})).await;
    root.delete(&path).await.expect(204);
    app.user("bob").await;
    root.post_empty(&format!("{path}/restore"))
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn users_are_found_by_address_role_and_status_in_pages() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    for name in ["ada", "bob", "eve"] {
        app.advance(Duration::seconds(1)).await;
        app.user(name).await;
    }
    let emails = |answer: Answer| -> Vec<String> {
        let users = answer.body["users"].as_array().expect("users").clone();
        users
            .iter()
            .map(|user| user["email"].as_str().expect("an address").to_owned())
            .collect()
    };
    let first = root.get(&format!("{USERS}?limit=3")).await.expect(200);
    let cursor = first.string("nextCursor");
    assert_eq!(
        emails(first),
        ["eve@example.com", "bob@example.com", "ada@example.com"]
    );
    let rest = root
        .get(&format!("{USERS}?limit=3&cursor={cursor}"))
        .await
        .expect(200);
    assert!(rest.body["nextCursor"].is_null());
    assert_eq!(emails(rest), ["root@example.com"]);
    assert_eq!(
        emails(root.get(&format!("{USERS}?query=BO")).await),
        ["bob@example.com"]
    );
    assert_eq!(
        emails(root.get(&format!("{USERS}?role=admin")).await),
        ["root@example.com"]
    );
    assert_eq!(
        emails(root.get(&format!("{USERS}?status=banned")).await),
        [""; 0]
    );
    for bad in ["status=x", "role=x", "limit=0", "query=%00"] {
        root.get(&format!("{USERS}?{bad}"))
            .await
            .expect_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn an_unknown_user_is_not_found_and_a_wrong_body_is_refused() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    for act in acts() {
        attempt(&root, "AAAAAAAAAAAAAAAAAAAAA", &act)
            .await
            .expect_problem(404, "not_found");
    }
    let path = format!("{USERS}/{}", bob.id);
    root.post(&format!("{path}/ban"), json!({}))
        .await
        .expect_invalid(&["reason"]);
    root.post(&format!("{path}/ban"), json!({"reason": ""}))
        .await
        .expect_invalid(&["reason"]);
    let past = json!({"reason": "x", "until": "2026-03-01T12:00:00Z"});
    root.post(&format!("{path}/ban"), past)
        .await
        .expect_invalid(&["until"]);
    set_role(&root, &bob.id, "owner")
        .await
        .expect_invalid(&["role"]);
}

#[tokio::test]
async fn every_act_is_recorded_with_the_admin_as_its_actor() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let path = format!("{USERS}/{}", bob.id);
    root.post(&format!("{path}/ban"), json!({"reason": "spam"}))
        .await
        .expect(204);
    let found = root
        .get(&format!(
            "/api/v1/admin/events?user={}&kind=user_banned",
            bob.id
        ))
        .await
        .expect(200)
        .body;
    let event = &found["events"][0];
    assert_eq!(
        (&event["actorKind"], &event["actorId"]),
        (&json!("admin"), &json!(root.id))
    );
    assert_eq!(event["details"]["reason"], "spam");
    root.post_empty(&format!("{path}/unban")).await.expect(204);
    let bob = bob.login(&bob.email, json!({})).await;
    let own = bob.get("/api/v1/auth/events").await.expect(200).body;
    let ban = own["events"]
        .as_array()
        .expect("events")
        .iter()
        .find(|event| event["kind"] == "user_banned");
    assert!(
        ban.expect("the ban")["ipAddress"].is_null(),
        "where an admin called from stays with the admins"
    );
}
