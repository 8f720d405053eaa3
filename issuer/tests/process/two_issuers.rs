use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Issuer, MASTER_KEY, data_dir, free_port, run, stderr, tollgate};

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

#[tokio::test(flavor = "multi_thread")]
async fn issuer_that_starts_while_another_migrates_waits_and_then_serves() {
    let dir = data_dir("migrating");
    let data = dir.to_str().expect("UTF-8");
    let first = Issuer::start(
        &["--dev"],
        &[("TOLLGATE_DATA_DIR", data), ("MASTER_KEY", MASTER_KEY)],
    )
    .await;
    let path = dir.clone();
    let url = tokio::task::spawn_blocking(move || owner_url(&path))
        .await
        .expect("the URL");
    let mut migrating = PgConnection::connect(&url).await.expect("the owner");
    for sql in [
        "begin",
        "lock table auth.schema_migrations in access exclusive mode",
    ] {
        migrating.execute(sql).await.expect("nobody else migrates");
    }
    let listen = format!("127.0.0.1:{}", free_port());
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("MASTER_KEY", MASTER_KEY),
        ("LISTEN_ADDR", listen.as_str()),
    ];
    let mut second = tollgate(&["serve"], &variables)
        .stderr(std::process::Stdio::inherit())
        .spawn()
        .expect("the program starts");
    let ready = format!("http://{listen}/ready");
    // It waits for the lock, which is how one sees that it has come so far.
    loop {
        let n: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
            .fetch_one(&mut migrating)
            .await
            .expect("the locks");
        if n > 0 {
            break;
        }
        assert!(second.try_wait().expect("ours").is_none(), "it gave up");
    }
    assert!(first.http.get(&ready).send().await.is_err());
    assert!(second.try_wait().expect("ours").is_none(), "it gave up");
    migrating.execute("commit").await.expect("migrated");
    let done = Instant::now();
    while !first
        .http
        .get(&ready)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
    {
        assert!(
            done.elapsed() < Duration::from_secs(30),
            "it does not serve"
        );
    }
    second.kill().expect("it is ours");
    second.wait().expect("it ends");
}
