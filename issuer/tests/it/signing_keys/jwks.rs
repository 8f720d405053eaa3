use poem::http::Method;

use crate::support::TestApp;

#[tokio::test]
async fn jwks_holds_the_active_and_the_standby_key_and_nothing_private() {
    let app = TestApp::start().await;
    for path in [
        "/.well-known/jwks.json",
        "/api/v1/auth/jwks",
        "/.well-known/feed-jwks.json",
    ] {
        let answer = app.anon().get(path).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "public, max-age=60");
        let keys = answer.body["keys"].as_array().expect("keys").clone();
        assert_eq!(keys.len(), 2);
        for key in keys {
            assert_eq!(
                (&key["kty"], &key["crv"], &key["use"]),
                (&"OKP".into(), &"Ed25519".into(), &"sig".into())
            );
            assert!(key.get("d").is_none());
        }
    }
}

#[tokio::test]
async fn jwks_is_not_sent_again_to_who_holds_it() {
    let app = TestApp::start().await;
    let etag = app
        .anon()
        .get("/.well-known/jwks.json")
        .await
        .header("etag")
        .to_owned();
    let again = app
        .anon()
        .call(
            Method::GET,
            "/.well-known/jwks.json",
            &[("if-none-match", &etag)],
            None,
        )
        .await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    let other = app
        .anon()
        .call(
            Method::GET,
            "/.well-known/jwks.json",
            &[("if-none-match", "\"x\"")],
            None,
        )
        .await;
    other.expect(200);
}

#[tokio::test]
async fn token_keys_and_feed_keys_are_never_the_same() {
    let app = TestApp::start().await;
    let kids = async |path: &str| {
        let keys = app.anon().get(path).await.body["keys"]
            .as_array()
            .expect("keys")
            .clone();
        keys.iter()
            .map(|key| key["kid"].as_str().expect("kid").to_owned())
            .collect::<Vec<_>>()
    };
    let (tokens, feed) = (
        kids("/.well-known/jwks.json").await,
        kids("/.well-known/feed-jwks.json").await,
    );
    assert!(tokens.iter().all(|kid| !feed.contains(kid)));
}

#[tokio::test]
async fn keys_and_feed_are_served_while_the_database_is_away() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.app.db.close().await;
    app.anon().get("/.well-known/jwks.json").await.expect(200);
    app.anon().get("/.well-known/revocations").await.expect(200);
    app.anon().get("/health").await.expect(200);
    app.anon()
        .get("/ready")
        .await
        .expect_problem(503, "unavailable");
    let valid = app
        .anon()
        .post(
            "/api/v1/auth/validate",
            serde_json::json!({"token": ada.access_token}),
        )
        .await;
    assert_eq!(valid.expect(200).body["valid"], true);
    let refused = ada
        .get("/api/v1/auth/me")
        .await
        .expect_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
}
