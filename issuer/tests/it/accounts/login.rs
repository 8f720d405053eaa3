use serde_json::json;
use time::Duration;

use crate::support::TestApp;
use crate::support::app::PASSWORD;

const PATH: &str = "/api/v1/auth/login";

#[tokio::test]
async fn login_answers_user_and_tokens() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let answer = app
        .anon()
        .post(
            PATH,
            json!({"email": "ADA@example.com ", "password": PASSWORD}),
        )
        .await
        .expect(200);
    assert_eq!(answer.body["user"]["email"], "ada@example.com");
    assert_eq!(answer.body["tokenType"], "Bearer");
    assert_eq!(answer.body["expiresIn"], 900);
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.string("accessToken");
    assert!(token.len() < 1536, "{} bytes", token.len());
    let claims = app
        .anon()
        .post("/api/v1/auth/validate", json!({ "token": token }))
        .await
        .expect(200)
        .body["payload"]
        .clone();
    let mut names: Vec<&str> = claims
        .as_object()
        .expect("claims")
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "aud",
            "email",
            "email_verified",
            "exp",
            "iat",
            "iss",
            "jti",
            "role",
            "sid",
            "sub"
        ]
    );
    assert_eq!(
        claims["exp"]
            .as_i64()
            .zip(claims["iat"].as_i64())
            .map(|(exp, iat)| exp - iat),
        Some(900)
    );
}

#[tokio::test]
async fn wrong_password_and_unknown_address_are_one_refusal() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let mut seen = Vec::new();
    let tries = [
        ("ada@example.com", "wrong password"),
        ("eve@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("ada@example.com", "short"),
    ];
    for (email, password) in tries {
        let answer = app
            .anon()
            .post(PATH, json!({"email": email, "password": password}))
            .await;
        let answer = answer.expect_problem(401, "invalid_credentials");
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="tollgate""#
        );
        seen.push(answer.body);
    }
    assert!(seen.iter().all(|body| *body == seen[0]), "{seen:?}");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.sessions")
            .await,
        1
    );
}

#[tokio::test]
async fn a_banned_user_cannot_sign_in_and_learns_nothing() {
    let app = TestApp::start().await;
    app.user("ada").await;
    sqlx::query("update auth.users set status = 'banned'")
        .execute(&app.db.owner)
        .await
        .expect("banned");
    let answer = app
        .anon()
        .post(
            PATH,
            json!({"email": "ada@example.com", "password": PASSWORD}),
        )
        .await;
    answer.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_password_changed_while_the_login_was_hashing_refuses_it() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.db
        .value::<String>("update auth.users set password_set_at = password_set_at + interval '1 second' returning id")
        .await;
    let mut issuer = app.db.as_issuer().await;
    let opened: Option<String> = sqlx::query_scalar(
        "select email from auth.open_session($1, 1, null, repeat('A', 22), sha256(''), null, null, '{pwd}', 900, 900, 900, '{}')",
    )
    .bind(&ada.id)
    .fetch_optional(&mut issuer)
    .await
    .expect("the function answers");
    assert_eq!(opened, None);
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.sessions")
            .await,
        1
    );
}

#[tokio::test]
async fn a_hash_with_outdated_parameters_is_replaced_at_login() {
    let app = TestApp::start().await;
    app.user("ada").await;
    // Argon2id of the test password with 8 MiB and one pass.
    let old = argon2_of(PASSWORD);
    sqlx::query("update auth.users set password_hash = $1")
        .bind(&old)
        .execute(&app.db.owner)
        .await
        .expect("set");
    app.anon().login("ada@example.com", json!({})).await;
    let hash: String = app.db.value("select password_hash from auth.users").await;
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    app.anon().login("ada@example.com", json!({})).await;
}

fn argon2_of(password: &str) -> String {
    use argon2::password_hash::PasswordHasher;
    let params = argon2::Params::new(8 * 1024, 1, 1, None).expect("valid");
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), b"saltsaltsaltsalt")
        .expect("hashed")
        .to_string()
}

#[tokio::test]
async fn login_with_the_device_id_of_a_live_session_replaces_it() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let first = app
        .anon()
        .login(
            "ada@example.com",
            json!({"deviceId": "phone", "deviceName": "Phone"}),
        )
        .await;
    let second = app
        .anon()
        .login("ada@example.com", json!({"deviceId": "phone"}))
        .await;
    first
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    first
        .refresh(&first.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    second.get("/api/v1/auth/me").await.expect(200);
    let reason: String = app
        .db
        .value("select revoked_reason from auth.sessions where revoked_at is not null")
        .await;
    assert_eq!(reason, "replaced");
}

#[tokio::test]
async fn login_with_another_users_device_id_leaves_their_session_alone() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.user("bob").await;
    let ada = app
        .anon()
        .login("ada@example.com", json!({"deviceId": "shared"}))
        .await;
    app.anon()
        .login("bob@example.com", json!({"deviceId": "shared"}))
        .await;
    ada.get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn login_is_limited_by_address_and_the_limit_ends() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let body = json!({"email": "not an address", "password": PASSWORD});
    for i in 0..20 {
        let answer = app
            .anon()
            .post(PATH, body.clone())
            .await
            .expect_problem(401, "invalid_credentials");
        assert_eq!(answer.header("ratelimit-limit"), "20");
        assert_eq!(answer.header("ratelimit-remaining"), (19 - i).to_string());
    }
    let refused = app
        .anon()
        .post(PATH, body.clone())
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "3");
    app.anon()
        .calling_from("192.0.2.11")
        .post(PATH, body.clone())
        .await
        .expect(401);
    app.advance(Duration::seconds(3)).await;
    app.anon().post(PATH, body).await.expect(401);
}
