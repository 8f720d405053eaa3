use futures_util::future::join_all;
use issuer::signing_keys::{
    Purpose, RotateError, SigningKeysError, list, maintain, revoke, rotate,
};
use serde_json::json;
use time::Duration;

use crate::support::TestApp;

const PUBLISH_AHEAD: Duration = Duration::seconds(3720);

async fn states(app: &TestApp) -> Vec<(String, &'static str)> {
    let keys = list(&app.app).await.expect("listed");
    keys.into_iter()
        .filter(|key| key.purpose == "access_token")
        .map(|key| (key.kid, key.state))
        .collect()
}

async fn published(app: &TestApp) -> Vec<String> {
    let keys = app.anon().get("/.well-known/jwks.json").await.body["keys"]
        .as_array()
        .expect("keys")
        .clone();
    keys.iter()
        .map(|key| key["kid"].as_str().expect("kid").to_owned())
        .collect()
}

#[tokio::test]
async fn the_first_key_signs_at_once_beside_a_published_standby() {
    let app = TestApp::start().await;
    let states = states(&app).await;
    assert_eq!(
        states.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        ["active", "pending"]
    );
}

#[tokio::test]
async fn a_standby_that_verifiers_may_not_know_is_not_promoted_and_the_time_left_is_said() {
    let app = TestApp::start().await;
    app.advance(PUBLISH_AHEAD - Duration::seconds(90)).await;
    match rotate(&app.app, Purpose::AccessToken).await {
        Err(error @ RotateError::TooYoung { left, .. }) => {
            assert_eq!(left, Duration::seconds(90));
            assert!(error.to_string().contains("in 90 s"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rotation_promotes_the_standby_and_keeps_the_old_key_until_its_tokens_expired() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let [first, standby] = published(&app).await.try_into().expect("two keys");
    app.advance(PUBLISH_AHEAD).await;
    let ada = ada.login(&ada.email, json!({})).await;
    assert_eq!(
        rotate(&app.app, Purpose::AccessToken)
            .await
            .expect("rotated"),
        standby
    );
    app.maintain_keys().await;
    assert_eq!(published(&app).await.len(), 3);
    ada.get("/api/v1/auth/me").await.expect(200);
    let next = ada.login(&ada.email, json!({})).await;
    next.get("/api/v1/auth/me").await.expect(200);
    app.advance(Duration::seconds(3779)).await;
    app.maintain_keys().await;
    assert!(published(&app).await.contains(&first));
    app.advance(Duration::seconds(1)).await;
    app.maintain_keys().await;
    assert!(!published(&app).await.contains(&first));
}

#[tokio::test]
async fn keys_rotate_by_themselves_after_thirty_days_and_once_however_many_issuers_run() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    app.advance(Duration::days(30) - Duration::seconds(1)).await;
    join_all([&app, &second].map(|app| maintain(&app.app))).await;
    assert_eq!(states(&app).await.len(), 2);
    app.advance(Duration::seconds(1)).await;
    let all = (0..8).map(|i| maintain(if i % 2 == 0 { &app.app } else { &second.app }));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    let after: Vec<&str> = states(&app).await.iter().map(|(_, state)| *state).collect();
    assert_eq!(after, ["retiring", "active", "pending"]);
}

#[tokio::test]
async fn two_issuers_starting_together_make_one_set_of_keys() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    assert_eq!(published(&app).await, published(&second).await);
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.signing_keys")
            .await,
        4
    );
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_the_standby_signs() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let [first, standby] = published(&app).await.try_into().expect("two keys");
    assert!(revoke(&app.app, &first).await.expect("revoked"));
    app.maintain_keys().await;
    app.publish().await;
    assert!(!published(&app).await.contains(&first));
    let refused = ada
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "invalid_token");
    assert_eq!(refused.body["detail"], "unknown_key");
    let again = ada.login(&ada.email, json!({})).await;
    again.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(states(&app).await[0], (standby, "active"));
    let feed = crate::revocations::payload(&app.anon().get("/.well-known/revocations").await.text);
    assert_eq!(feed["denyKids"], json!([first]));
    assert!(
        !revoke(&app.app, &first).await.expect("answered"),
        "a key is revoked once"
    );
}

#[tokio::test]
async fn a_row_that_somebody_else_wrote_is_never_published() {
    let app = TestApp::start().await;
    let before = published(&app).await;
    let forge = "insert into auth.signing_keys (kid, purpose, state, public_key, sealed_seed, master_key_version, created_at, published_at, retired_at) \
                 select repeat('A', 43), purpose, 'retiring', public_key, sealed_seed, 1, created_at, published_at, created_at \
                 from auth.signing_keys where purpose = 'access_token' limit 1";
    sqlx::query(forge)
        .execute(&app.db.owner)
        .await
        .expect("forged");
    app.maintain_keys().await;
    assert_eq!(published(&app).await, before);
}

#[tokio::test]
async fn no_key_is_made_because_another_could_not_be_read() {
    let app = TestApp::start().await;
    sqlx::query(
        "update auth.signing_keys set sealed_seed = sealed_seed || '\\x00' where state = 'active'",
    )
    .execute(&app.db.owner)
    .await
    .expect("altered");
    let refused = maintain(&app.app).await;
    assert!(
        matches!(refused, Err(SigningKeysError::SealBroken { .. })),
        "{refused:?}"
    );
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.signing_keys")
            .await,
        4
    );
}
