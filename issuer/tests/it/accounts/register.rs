use serde_json::json;

use crate::support::TestApp;
use crate::support::app::PASSWORD;

const PATH: &str = "/api/v1/auth/register";

#[tokio::test]
async fn register_answers_the_user_without_anything_secret() {
    let app = TestApp::start().await;
    let body = json!({"email": " Ada@Example.COM ", "password": PASSWORD, "name": "Ada"});
    let answer = app.anon().post(PATH, body).await.expect(201);
    let user = &answer.body["user"];
    assert_eq!(user["email"], "ada@example.com");
    assert_eq!(user["name"], "Ada");
    assert_eq!(user["role"], "user");
    assert_eq!(user["emailVerified"], false);
    assert_eq!(user["createdAt"], "2026-03-01T12:00:00Z");
    assert_eq!(user["id"].as_str().map(str::len), Some(21));
    assert_eq!(user.as_object().map(serde_json::Map::len), Some(6));
    let hash: String = app.db.value("select password_hash from auth.users").await;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
}

#[tokio::test]
async fn register_with_a_taken_address_in_any_spelling_is_409() {
    let app = TestApp::start().await;
    app.user("ada").await;
    for email in ["ada@example.com", "ADA@example.com", "  ada@example.com "] {
        let answer = app
            .anon()
            .post(PATH, json!({"email": email, "password": PASSWORD}))
            .await;
        answer.expect_problem(409, "email_taken");
    }
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        1
    );
}

#[tokio::test]
async fn register_refuses_bad_fields_and_writes_nothing() {
    let app = TestApp::start().await;
    let long = "x".repeat(129);
    let cases = [
        (json!({}), vec!["email", "password"]),
        (json!({"email": "ada@example.com"}), vec!["password"]),
        (json!({"email": "ada", "password": PASSWORD}), vec!["email"]),
        (
            json!({"email": "ada@nodomain", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            json!({"email": "ada@example.com", "password": "1234567"}),
            vec!["password"],
        ),
        (
            json!({"email": "ada@example.com", "password": long}),
            vec!["password"],
        ),
        (
            json!({"email": "x", "password": "short"}),
            vec!["email", "password"],
        ),
        (json!({"email": 7, "password": PASSWORD}), vec!["email"]),
        (
            json!({"email": "ada@example.com", "password": ["a"]}),
            vec!["password"],
        ),
        (
            json!({"email": "ada@example.com", "password": PASSWORD, "name": ""}),
            vec!["name"],
        ),
        (
            json!({"email": "ada@example.com", "password": PASSWORD, "role": "admin"}),
            vec!["role"],
        ),
        (
            json!({"email": "ada@example.com", "password": PASSWORD, "name": "A\u{0}"}),
            vec!["name"],
        ),
        (json!(["ada@example.com"]), vec![""]),
    ];
    for (body, fields) in cases {
        app.anon().post(PATH, body).await.expect_invalid(&fields);
    }
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        0
    );
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.security_events")
            .await,
        0
    );
}

#[tokio::test]
async fn register_is_forbidden_when_registration_is_closed() {
    let app = TestApp::start_with(&[("REGISTRATION", "closed")]).await;
    let answer = app
        .anon()
        .post(
            PATH,
            json!({"email": "ada@example.com", "password": PASSWORD}),
        )
        .await;
    answer.expect_problem(403, "forbidden");
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        0
    );
}

#[tokio::test]
async fn registration_is_in_the_audit_trail_without_personal_data() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let kinds: Vec<String> = app
        .db
        .value("select array_agg(kind order by id) from auth.security_events")
        .await;
    assert_eq!(kinds, ["registered", "login"]);
    let rows: String = app
        .db
        .value("select string_agg(e::text, '') from auth.security_events e")
        .await;
    assert!(
        !rows.contains("ada@") && !rows.contains(crate::support::app::HOME),
        "{rows}"
    );
    let digests: bool = app
        .db
        .value(
            "select bool_and(e.details_digest = sha256(d.salt || convert_to(concat(host(d.ip_address), chr(10), \
             d.user_agent, chr(10), d.data::text), 'UTF8'))) \
             from auth.security_events e join auth.security_event_details d on d.event_id = e.id",
        )
        .await;
    assert!(digests, "an event does not match its details");
}

#[tokio::test]
async fn sixteen_people_racing_for_one_address_make_one_account() {
    let app = TestApp::start().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    // Whoever finds the queue of the hasher full is told to come back, and does.
    let tries = (0..16).map(|_| async {
        loop {
            match app.anon().post(PATH, body.clone()).await.status {
                503 => {}
                status => return status,
            }
        }
    });
    let mut statuses = futures_util::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..].iter().all(|status| *status == 409),
        "{statuses:?}"
    );
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        1
    );
}
