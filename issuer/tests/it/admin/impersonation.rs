use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use time::Duration;

use super::admin;
use crate::support::{Actor, TestApp};

const USERS: &str = "/api/v1/admin/users";

async fn impersonate(root: &Actor<'_>, id: &str) -> Value {
    let path = format!("{USERS}/{id}/impersonate");
    root.post(&path, json!({"reason": "a question"}))
        .await
        .expect(200)
        .body
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three segments");
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).expect("base64url"))
        .expect("JSON")
}

#[tokio::test]
async fn an_impersonating_token_names_both_and_lasts_a_quarter_of_an_hour() {
    let app = TestApp::start_with(&[("ACCESS_TOKEN_TTL", "3600")]).await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let answer = impersonate(&root, &bob.id).await;
    let token = answer["accessToken"].as_str().expect("a token");
    let claims = claims(token);
    assert_eq!(
        (&claims["sub"], &claims["act"]),
        (&json!(bob.id), &json!({"sub": root.id}))
    );
    assert_eq!(answer["expiresIn"], 900);
    assert_eq!(
        claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"),
        900
    );
    assert!(answer["refreshToken"].is_null());
    let acting = bob.with_token(token);
    acting.get("/api/v1/auth/me").await.expect(200);
    app.advance(Duration::seconds(900)).await;
    acting
        .get("/api/v1/auth/sessions")
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn impersonating_is_recorded_and_seen_by_the_person() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let answer = impersonate(&root, &bob.id).await;
    let events = bob.get("/api/v1/auth/events").await.expect(200).body;
    assert_eq!(events["events"][0]["kind"], "impersonation_started");
    assert_eq!(events["events"][0]["details"]["reason"], "a question");
    let id = answer["sessionId"].as_str().expect("an id");
    let acting = bob.with_token(answer["accessToken"].as_str().expect("a token"));
    acting.post_empty("/api/v1/auth/logout").await.expect(200);
    let found = root
        .get("/api/v1/admin/events?kind=logout")
        .await
        .expect(200)
        .body;
    assert_eq!(found["events"][0]["sessionId"], id);
    assert_eq!(
        found["events"][0]["actorId"],
        json!(root.id),
        "who acts is the admin"
    );
}

#[tokio::test]
async fn an_impersonated_session_is_never_fresh_and_no_admin() {
    let app = TestApp::start().await;
    let (root, bob) = (admin(&app, "root").await, app.user("bob").await);
    let answer = impersonate(&root, &bob.id).await;
    bob.with_token(answer["accessToken"].as_str().expect("a token"))
        .get(USERS)
        .await
        .expect_problem(403, "forbidden");
    let standing: String = sqlx::query_scalar("select auth.session_standing($1, $2)")
        .bind(&bob.id)
        .bind(answer["sessionId"].as_str())
        .fetch_one(&app.db.owner)
        .await
        .expect("asked");
    assert_eq!(standing, "stale", "sensitive acts are refused");
}

#[tokio::test]
async fn an_admin_is_not_impersonated_and_demotion_ends_impersonation() {
    let app = TestApp::start().await;
    let (root, second) = (admin(&app, "root").await, admin(&app, "second").await);
    let bob = app.user("bob").await;
    let path = format!("{USERS}/{}/impersonate", second.id);
    root.post(&path, json!({"reason": "x"}))
        .await
        .expect_problem(403, "forbidden");
    let answer = impersonate(&second, &bob.id).await;
    root.post(
        &format!("{USERS}/{}/ban", second.id),
        json!({"reason": "x"}),
    )
    .await
    .expect(204);
    app.publish().await;
    bob.with_token(answer["accessToken"].as_str().expect("a token"))
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}
