//! Limits shared through a real Redis, and what happens when it goes away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::TestApp;

const LOGIN: &str = "/api/v1/auth/login";

/// A Redis on a socket of its own, killed when dropped.
struct Redis {
    child: Child,
    socket: PathBuf,
}

impl Redis {
    /// Starts one and waits until it takes connections.
    async fn start(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-{name}"));
        std::fs::create_dir_all(&dir).expect("a folder");
        // The path of a socket is short: 107 bytes.
        let socket = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        let program = std::env::var("REDIS_SERVER_BIN").unwrap_or_else(|_| "redis-server".into());
        let child = Command::new(program)
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .current_dir(dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts: `cargo xtask setup` installs it");
        let redis = Self { child, socket };
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::UnixStream::connect(&redis.socket)
            .await
            .is_err()
        {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            tokio::task::yield_now().await;
        }
        redis
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
        drop(std::fs::remove_file(&self.socket));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How many of so many sign-ins were let through.
async fn tries(app: &TestApp, n: usize) -> usize {
    let body = json!({"email": "not an address", "password": "wrong password"});
    let mut n_allowed = 0;
    for _ in 0..n {
        let answer = app.anon().post(LOGIN, body.clone()).await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
        n_allowed += usize::from(answer.status == 401);
    }
    n_allowed
}

async fn metric(app: &TestApp, name: &str) -> u64 {
    let text = app.anon().get("/metrics").await.expect(200).text;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {text}"))
}

#[tokio::test]
async fn two_issuers_share_a_limit_and_go_on_without_redis_until_it_is_back() {
    let mut redis = Redis::start("shared").await;
    let url = redis.url();
    let variables = [("RATE_LIMIT_SCALE", "1"), ("REDIS_URL", url.as_str())];
    let first = TestApp::start_with(&variables).await;
    let second = first.second(&variables).await;
    for app in [&first, &second] {
        assert_eq!(metric(app, "tollgate_rate_limit_shared_up").await, 1);
    }
    let allowed = (tries(&first, 15).await, tries(&second, 10).await);
    assert_eq!(allowed, (15, 5), "20 a minute for both together");

    redis.kill();
    let began = Instant::now();
    // The second has let 5 through and refused 5 that it had counted itself.
    let allowed = (tries(&first, 10).await, tries(&second, 20).await);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "nobody waits for a Redis that is gone"
    );
    assert_eq!(allowed, (5, 10), "each goes on from what it has counted");
    for app in [&first, &second] {
        assert_eq!(metric(app, "tollgate_rate_limit_shared_up").await, 0);
        assert!(metric(app, "tollgate_rate_limit_fallbacks_total").await > 0);
        app.app.limiter.reconnect().await;
        assert_eq!(metric(app, "tollgate_rate_limit_shared_up").await, 0);
    }

    // As the job does twice a second.
    let redis_again = Redis::start("shared").await;
    assert_eq!(redis_again.url(), url);
    for app in [&first, &second] {
        app.app.limiter.reconnect().await;
        assert_eq!(metric(app, "tollgate_rate_limit_shared_up").await, 1);
    }
    let allowed = (tries(&first, 15).await, tries(&second, 10).await);
    assert_eq!(allowed, (15, 5), "they share again");
}

#[tokio::test]
async fn keys_in_redis_hold_no_address_and_lapse() {
    let redis = Redis::start("keys").await;
    let url = redis.url();
    let variables = [("RATE_LIMIT_SCALE", "1"), ("REDIS_URL", url.as_str())];
    let app = TestApp::start_with(&variables).await;
    app.user("ada").await;
    let client = redis::Client::open(url.as_str()).expect("our own URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("it answers");
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .expect("listed");
    assert_eq!(keys.len(), 3, "register, login, the account: {keys:?}");
    for key in keys {
        assert!(
            key.starts_with("tollgate:limit:") && key.len() == 15 + 43,
            "{key}"
        );
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .expect("read");
        assert!((1..=60_000).contains(&left), "{key} lapses in {left} ms");
    }
}

#[tokio::test]
async fn an_issuer_starts_and_limits_while_redis_is_away() {
    let variables = [
        ("RATE_LIMIT_SCALE", "1"),
        ("REDIS_URL", "redis+unix:///nonexistent/socket"),
    ];
    let app = TestApp::start_with(&variables).await;
    assert_eq!(tries(&app, 25).await, 20);
    assert_eq!(metric(&app, "tollgate_rate_limit_shared_up").await, 0);
}

#[tokio::test]
async fn validate_has_a_limit_of_its_own() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "0.001")]).await;
    let body = json!({"token": "nonsense"});
    for _ in 0..6 {
        let answer = app
            .anon()
            .post("/api/v1/auth/validate", body.clone())
            .await
            .expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "6");
    }
    let answer = app.anon().post("/api/v1/auth/validate", body).await;
    answer.expect_problem(429, "rate_limited");
}
