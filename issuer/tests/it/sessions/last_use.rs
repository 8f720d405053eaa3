use time::Duration;

use crate::support::{Actor, TestApp};

async fn last_use(actor: &Actor<'_>) -> String {
    let list = actor.get("/api/v1/auth/sessions").await.expect(200).body;
    list[0]["lastUsedAt"].as_str().expect("a time").to_owned()
}

#[tokio::test]
async fn a_read_notes_the_use_of_its_session_once_a_minute() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let in_database = || {
        app.db
            .value::<bool>("select last_used_at = auth.clock() from auth.sessions")
    };
    app.advance(Duration::seconds(60) - Duration::microseconds(1))
        .await;
    ada.get("/api/v1/auth/me").await.expect(200);
    assert!(!in_database().await, "a minute has not passed");
    app.advance(Duration::microseconds(1)).await;
    ada.get("/api/v1/auth/me").await.expect(200);
    assert!(in_database().await, "a minute has passed");
    app.advance(Duration::minutes(1)).await;
    assert_eq!(last_use(&ada).await, "2026-03-01T12:02:00Z");
}

#[tokio::test]
async fn a_use_does_not_prolong_a_session() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::minutes(5)).await;
    ada.get("/api/v1/auth/me").await.expect(200);
    let list = ada.get("/api/v1/auth/sessions").await.expect(200).body;
    assert_eq!(list[0]["expiresAt"], "2026-03-08T12:00:00Z");
}

#[tokio::test]
async fn the_session_of_somebody_else_is_not_touched() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let bob = app.user("bob").await;
    app.advance(Duration::minutes(2)).await;
    ada.get("/api/v1/auth/me").await.expect(200);
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.sessions where last_used_at = auth.clock()")
            .await,
        1
    );
    let mut issuer = app.db.as_issuer().await;
    sqlx::query("select auth.touch_session($1, (select id from auth.sessions limit 1))")
        .bind(&bob.id)
        .execute(&mut issuer)
        .await
        .expect("called");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.sessions where last_used_at = auth.clock()")
            .await,
        1
    );
}
