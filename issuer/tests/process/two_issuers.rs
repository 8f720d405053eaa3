use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Issuer, MASTER_KEY, data_dir, run, stderr};

/// The URL of the database that a development issuer runs, for a second one beside it.
fn owner_url(data_dir: &std::path::Path) -> String {
    let logins = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(async {
            issuer::db::embedded::EmbeddedPostgres::attach(data_dir)
                .await
                .expect("attached")
                .expect("running")
        });
    logins.owner.expose().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_issuers_on_one_database_share_keys_and_learn_of_each_others_revocations_within_a_second()
 {
    let dir = data_dir("two_issuers");
    let data = dir.to_str().expect("UTF-8");
    let first = Issuer::start(
        &["--dev"],
        &[
            ("TOLLGATE_DATA_DIR", data),
            ("MASTER_KEY", MASTER_KEY),
            ("JWT_ISSUER", "https://id.example.com"),
        ],
    )
    .await;
    let path = dir.clone();
    let url = tokio::task::spawn_blocking(move || owner_url(&path))
        .await
        .expect("the URL");
    // Production mode, with a login that may do too much: it migrates nothing and steps down.
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("MASTER_KEY", MASTER_KEY),
        ("JWT_ISSUER", "https://id.example.com"),
    ];
    let second = Issuer::start(&[], &variables).await;

    assert_eq!(
        first.get("/.well-known/jwks.json").await.1,
        second.get("/.well-known/jwks.json").await.1
    );
    let token = first.user("ada").await;
    let valid = second
        .post("/auth/validate", "", &json!({ "token": token }))
        .await
        .1;
    assert_eq!(valid["valid"], true, "{valid}");
    assert_eq!(first.post("/auth/logout", &token, &json!({})).await.0, 200);
    let ended = Instant::now();
    loop {
        let answer = second
            .post("/auth/validate", "", &json!({ "token": token }))
            .await
            .1;
        if answer["error"] == "revoked" {
            break;
        }
        assert!(ended.elapsed() < Duration::from_secs(1), "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let wrong = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
    let refused = run(
        &["serve"],
        &[("DATABASE_URL", url.as_str()), ("MASTER_KEY", wrong)],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("MASTER_KEY is not the one"),
        "{}",
        stderr(&refused)
    );
}
