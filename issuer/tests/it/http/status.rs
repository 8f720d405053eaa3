use time::Duration;

use crate::support::TestApp;

/// The row of a part or of a job.
fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let start = format!("<dt>{name}</dt>");
    let row = page.split(&start).nth(1).expect(name);
    row.split("</dd>").next().expect("split gives one part")
}

#[tokio::test]
async fn page_shows_every_part_as_it_stands_and_says_what_is_not_set_up() {
    let app = TestApp::start().await;
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(page.contains("Everything works"), "{page}");
    for (part, level) in [
        ("Database", "good"),
        ("Redis", "off"),
        ("Signing keys", "good"),
        ("Revocation feed", "good"),
        ("Background jobs", "good"),
        ("Password hashing", "good"),
        ("Mail", "off"),
        ("Webhooks", "good"),
        ("Purchases", "off"),
    ] {
        let level = format!(r#"<b class="{level}">"#);
        assert!(row(&page, part).contains(&level), "{part}: {page}");
    }
    assert!(row(&page, "access tokens").contains("signs"), "{page}");
}

#[tokio::test]
async fn page_tells_when_the_database_has_not_answered_and_answers_itself() {
    let app = TestApp::start().await;
    let database = |page: &str| row(page, "Database").to_owned();
    app.app.db.close().await;
    app.app.clock.advance(Duration::seconds(8));
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(
        database(&page).contains("good"),
        "an attempt may be under way"
    );
    app.app.clock.advance(Duration::seconds(1));
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(
        database(&page).contains("has not answered for 9 s"),
        "{page}"
    );
    assert!(row(&page, "Revocation feed").contains("degraded"), "{page}");
    assert!(page.contains("Something does not work"), "{page}");
}

#[tokio::test]
async fn failing_job_and_overdue_rotation_want_attention() {
    let app = TestApp::start().await;
    let now = app.app.clock.now();
    app.app.job_health.note("mail", false, now);
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(page.contains("Something needs attention"), "{page}");
    assert!(
        row(&page, "Background jobs").contains("failing: mail"),
        "{page}"
    );
    assert!(
        row(&page, "mail").contains("failed 1 times, never done"),
        "{page}"
    );

    let app = TestApp::start().await;
    app.app.clock.advance(Duration::days(31));
    let keys = |page: &str| row(page, "Signing keys").to_owned();
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(keys(&page).contains("good"), "a day is left: {page}");
    app.app.clock.advance(Duration::seconds(1));
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(keys(&page).contains("rotation is overdue"), "{page}");
}

#[tokio::test]
async fn answers_of_the_last_minutes_are_counted_by_whose_fault_they_were() {
    let app = TestApp::start().await;
    app.anon().get("/health").await.expect(200);
    app.anon().get("/nothing").await.expect(404);
    let page = app.anon().get("/status").await.expect(200).text;
    assert!(
        row(&page, r"refused (4xx)").contains("1 (50.0 %)"),
        "{page}"
    );
    assert!(row(&page, r"failed (5xx)").contains("0 (0.0 %)"), "{page}");
}

#[tokio::test]
async fn page_loads_and_runs_nothing_and_shows_no_secret() {
    let app = TestApp::start_with(&[("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")]).await;
    let answer = app.anon().get("/status").await.expect(200);
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(
        row(&answer.text, "Redis").contains("is away"),
        "{}",
        answer.text
    );
    for secret in ["hunter2", "postgres://", "<script", "src="] {
        assert!(!answer.text.contains(secret), "{secret}: {}", answer.text);
    }
}

#[tokio::test]
async fn looking_costs_no_query() {
    let app = TestApp::start().await;
    let acquired = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("tollgate_database_connection_wait_seconds_count"));
        line.expect("it is counted").to_owned()
    };
    let before = app.anon().get("/metrics").await.expect(200).text;
    app.anon().get("/status").await.expect(200);
    let after = app.anon().get("/metrics").await.expect(200).text;
    assert_eq!(acquired(&before), acquired(&after));
}
