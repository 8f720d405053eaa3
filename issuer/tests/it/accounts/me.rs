use serde_json::json;
use shared_claims::sign::SigningKey;
use shared_claims::{AccessClaims, UnixTime};
use time::Duration;

use crate::support::{Actor, TestApp};

const PATH: &str = "/api/v1/auth/me";

#[tokio::test]
async fn me_is_the_signed_in_user() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    let answer = ada.get(PATH).await.expect(200);
    assert_eq!(answer.body["user"]["id"], ada.id.as_str());
    assert_eq!(answer.body["user"]["email"], "ada@example.com");
}

#[tokio::test]
async fn me_without_a_token_is_401_and_names_no_error() {
    let app = TestApp::start().await;
    let answer = app
        .anon()
        .get(PATH)
        .await
        .expect_problem(401, "missing_token");
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Bearer realm="tollgate""#
    );
}

#[tokio::test]
async fn a_token_that_is_cut_doubled_altered_or_foreign_is_401_with_the_verifiers_code() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let token = ada.access_token.clone();
    let (head, signature) = token.rsplit_once('.').expect("three segments");
    let flipped = |index: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    };
    let other = TestApp::start_with(&[("JWT_AUDIENCE", "other")]).await;
    let cases = [
        (token[..token.len() - 1].to_owned(), "malformed"),
        (head.to_owned(), "malformed"),
        (format!("{token}{token}"), "malformed"),
        (format!("{token}."), "malformed"),
        (flipped(head.len() + 10), "bad_signature"),
        (
            format!("{head}.{}", "A".repeat(signature.len())),
            "bad_signature",
        ),
        (other.user("eve").await.access_token, "wrong_audience"),
        (signed_by_a_stranger(&app, &ada), "unknown_key"),
        ("a".repeat(9000), "too_large"),
        ("x".into(), "malformed"),
    ];
    for (bad, code) in cases {
        let answer = ada
            .with_token(&bad)
            .get(PATH)
            .await
            .expect_problem(401, "invalid_token");
        assert_eq!(answer.body["detail"], code, "{bad}");
        assert_eq!(
            answer.header("www-authenticate"),
            r#"Bearer realm="tollgate", error="invalid_token""#
        );
    }
}

fn signed_by_a_stranger(app: &TestApp, ada: &Actor<'_>) -> String {
    let now = u64::try_from(app.app.clock.now().unix_timestamp()).expect("after 1970");
    SigningKey::from_seed(&[9; 32])
        .expect("a key")
        .sign_access_token(&AccessClaims {
            iss: app.app.config.tokens.issuer.clone(),
            sub: ada.id.clone(),
            aud: vec![app.app.config.tokens.audience.clone()],
            exp: UnixTime::from_secs(now + 900),
            nbf: None,
            iat: UnixTime::from_secs(now),
            jti: "forged".into(),
            sid: "forged".into(),
            email: None,
            email_verified: None,
            role: Some("admin".into()),
            act: None,
        })
}

#[tokio::test]
async fn a_token_is_accepted_until_its_leeway_ends_and_not_a_second_longer() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::seconds(900 + 29)).await;
    ada.get(PATH).await.expect(200);
    app.advance(Duration::seconds(1)).await;
    let answer = ada.get(PATH).await.expect_problem(401, "invalid_token");
    assert_eq!(answer.body["detail"], "expired");
}

#[tokio::test]
async fn other_schemes_and_two_headers_are_not_a_token() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let basic = ada
        .call(
            poem::http::Method::GET,
            PATH,
            &[("authorization", "Basic YTpi")],
            None,
        )
        .await;
    basic.expect_problem(401, "missing_token");
    let value = format!("Bearer {}", ada.access_token);
    let twice = [
        ("authorization", value.as_str()),
        ("authorization", value.as_str()),
    ];
    ada.call(poem::http::Method::GET, PATH, &twice, None)
        .await
        .expect_problem(401, "invalid_token");
    let lower = [("authorization", &*format!("bearer {}", ada.access_token))];
    ada.call(poem::http::Method::GET, PATH, &lower, None)
        .await
        .expect(200);
}

#[tokio::test]
async fn validate_says_what_is_wrong_and_always_answers_200() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let validate = async |token: &str| {
        app.anon()
            .post("/api/v1/auth/validate", json!({ "token": token }))
            .await
            .expect(200)
            .body
    };
    assert_eq!(
        validate(&ada.access_token).await["payload"]["sub"],
        ada.id.as_str()
    );
    assert_eq!(
        validate("nonsense").await,
        json!({"valid": false, "error": "malformed"})
    );
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    assert_eq!(
        validate(&ada.access_token).await,
        json!({"valid": false, "error": "revoked"})
    );
}
