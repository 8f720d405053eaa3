use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::TestApp;
use crate::support::app::PASSWORD;

const LOGIN: &str = "/api/v1/auth/login";
/// Of the test password, by Node's `crypto.scryptSync` as Better Auth calls it.
const SCRYPT: &str = "000102030405060708090a0b0c0d0e0f:70cc7d605f9fd0bfd324b3978bd79ee81076d98810046ed91604c3cb8aa6957761a2b0b97abf1e7c417ec4a9baa7bd1ce53449880d90dc1117c88d69b4f0b72e";

fn bcrypt_of(password: &str) -> String {
    let parts = bcrypt::hash_with_salt(password, 4, [1; 16]).expect("hashed");
    parts.format_for_version(bcrypt::Version::TwoB)
}

async fn set_hash(app: &TestApp, hash: &str) {
    sqlx::query("update auth.users set password_hash = $1")
        .bind(hash)
        .execute(&app.db.owner)
        .await
        .expect("set");
    issuer::accounts::notice_foreign_hashes(&app.app)
        .await
        .expect("noticed");
}

#[tokio::test]
async fn a_common_password_cannot_be_chosen() {
    let app = TestApp::start().await;
    for password in ["password", "Password1", "qwertyuiop", "zzzzzzzzzz"] {
        let body = json!({"email": "ada@example.com", "password": password});
        let answer = app.anon().post("/api/v1/auth/register", body).await;
        let answer = answer.expect_invalid(&["password"]);
        assert_eq!(
            answer.body["errors"][0]["message"],
            "must not be one of the most common passwords"
        );
    }
    let body = json!({"email": "ada@example.com", "password": "password of mine"});
    app.anon()
        .post("/api/v1/auth/register", body)
        .await
        .expect(201);
}

#[tokio::test]
async fn a_common_password_chosen_elsewhere_still_signs_in() {
    let app = TestApp::start().await;
    app.user("ada").await;
    set_hash(&app, &bcrypt_of("password")).await;
    let body = json!({"email": "ada@example.com", "password": "password"});
    app.anon().post(LOGIN, body).await.expect(200);
}

#[tokio::test]
async fn hashes_of_other_systems_are_accepted_once_and_replaced() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let bcrypt = bcrypt_of(PASSWORD);
    for hash in [SCRYPT, &bcrypt, &bcrypt.replacen("$2b$", "$2a$", 1)] {
        set_hash(&app, hash).await;
        let wrong = json!({"email": "ada@example.com", "password": "correct horse batterY"});
        app.anon()
            .post(LOGIN, wrong)
            .await
            .expect_problem(401, "invalid_credentials");
        let kept: String = app.db.value("select password_hash from auth.users").await;
        assert_eq!(kept, hash, "a wrong password replaces nothing");
        app.anon().login("ada@example.com", json!({})).await;
        let now: String = app.db.value("select password_hash from auth.users").await;
        assert!(now.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{now}");
        app.anon().login("ada@example.com", json!({})).await;
    }
}

#[tokio::test]
async fn while_there_are_hashes_of_other_systems_every_refusal_takes_the_same_time() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.user("bob").await;
    set_hash(&app, SCRYPT).await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let began = Instant::now();
        let body = json!({"email": email, "password": "wrong password"});
        app.anon().post(LOGIN, body).await.expect(401);
        assert!(began.elapsed() >= Duration::from_millis(300), "{email}");
    }
}

#[tokio::test]
async fn whether_any_hash_is_foreign_is_known_without_looking_at_every_user() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let any = || app.db.value::<bool>("select auth.any_foreign_hash()");
    assert!(!any().await);
    set_hash(&app, SCRYPT).await;
    assert!(any().await);
    app.anon().login("ada@example.com", json!({})).await;
    assert!(!any().await);
}
