use issuer::admin::{Act, operator};
use issuer::db::{become_owner, connect};
use issuer::sessions::{EndedMany, SessionFilter, count_many, end_many};
use serde_json::json;
use sqlx::PgConnection;
use time::Duration;

use crate::support::{Actor, TestApp};

async fn owner(app: &TestApp) -> PgConnection {
    let mut connection = connect(&app.db.owner_url).await.expect("it answers");
    become_owner(&mut connection).await.expect("a superuser");
    connection
}

async fn is_valid(app: &TestApp, actor: &Actor<'_>) -> bool {
    let body = json!({"token": actor.access_token});
    app.anon()
        .post("/api/v1/auth/validate", body)
        .await
        .expect(200)
        .body["valid"]
        == true
}

#[tokio::test]
async fn everybody_is_signed_out_with_an_event_each_and_an_entry_in_the_feed() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let mut owner = owner(&app).await;
    app.advance(Duration::seconds(1)).await;
    let everybody = SessionFilter::default();
    assert_eq!(
        count_many(&mut owner, &everybody).await.expect("counted"),
        2
    );
    assert!(is_valid(&app, &ada).await, "counting changes nothing");
    let ended = end_many(&mut owner, &everybody, |_| ())
        .await
        .expect("ended");
    let expected = EndedMany {
        ended: 2,
        all_tokens_cut_off: false,
    };
    assert_eq!(ended, expected);
    app.publish().await;
    for person in [&ada, &bob] {
        assert!(!is_valid(&app, person).await);
        let refreshed = person.refresh(&person.refresh_token).await;
        refreshed.expect_problem(401, "session_revoked");
    }
    let n_events: i64 = app
        .db
        .value(
            "select count(*) from auth.security_events
              where kind = 'session_revoked' and actor_kind = 'system' and actor_id = 'operator'",
        )
        .await;
    assert_eq!(n_events, 2);
    let again = end_many(&mut owner, &everybody, |_| ())
        .await
        .expect("ended");
    assert_eq!(again.ended, 0);
}

#[tokio::test]
async fn only_sessions_of_the_role_and_time_that_were_named_end() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let mut owner = owner(&app).await;
    let promoted = operator::act(&mut owner, &bob.id, &Act::SetRole("admin".into())).await;
    promoted.expect("promoted");
    app.advance(Duration::minutes(5)).await;
    let later = app.app.clock.now();
    let phone = ada.login("ada@example.com", json!({})).await;
    app.advance(Duration::seconds(1)).await;
    let admins = SessionFilter {
        role: Some("admin".into()),
        ..SessionFilter::default()
    };
    let ended = end_many(&mut owner, &admins, |_| ()).await.expect("ended");
    app.publish().await;
    assert_eq!(ended.ended, 1);
    assert!(!is_valid(&app, &bob).await);
    let since = SessionFilter {
        opened_after: Some(later),
        ..SessionFilter::default()
    };
    let ended = end_many(&mut owner, &since, |_| ()).await.expect("ended");
    app.publish().await;
    assert_eq!(ended.ended, 1, "the instant itself belongs to it");
    assert!(!is_valid(&app, &phone).await && is_valid(&app, &ada).await);
    let before = SessionFilter {
        opened_before: Some(later),
        ..SessionFilter::default()
    };
    let ended = end_many(&mut owner, &before, |_| ()).await.expect("ended");
    app.publish().await;
    assert_eq!(ended.ended, 1);
    assert!(!is_valid(&app, &ada).await);
}

#[tokio::test]
async fn more_sessions_than_the_feed_holds_cut_off_every_token_and_nobody_elses_session() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let mut owner = owner(&app).await;
    let promoted = operator::act(&mut owner, &bob.id, &Act::SetRole("admin".into())).await;
    promoted.expect("promoted");
    sqlx::query(
        "insert into auth.sessions (id, user_id, nonce_hash, created_at, authenticated_at, last_used_at,
                                    access_expires_at, expires_at, absolute_expires_at)
         select lpad(n::text, 22, 'A'), $1, nonce_hash, created_at, authenticated_at, last_used_at,
                access_expires_at, expires_at, absolute_expires_at
           from auth.sessions, generate_series(1, 5000) n where user_id = $1",
    )
    .bind(&ada.id)
    .execute(&app.db.owner)
    .await
    .expect("inserted");
    app.advance(Duration::seconds(5)).await;
    let users = SessionFilter {
        role: Some("user".into()),
        ..SessionFilter::default()
    };
    let ended = end_many(&mut owner, &users, |_| ()).await.expect("ended");
    let expected = EndedMany {
        ended: 5_001,
        all_tokens_cut_off: true,
    };
    assert_eq!(ended, expected);
    app.advance(Duration::seconds(1)).await;
    app.publish().await;
    let n_entries: i64 = app
        .db
        .value("select count(*) from auth.revocations where kind = 'session'")
        .await;
    assert_eq!(n_entries, 0, "the feed stays small");
    assert!(!is_valid(&app, &ada).await && !is_valid(&app, &bob).await);
    let refreshed = ada.refresh(&ada.refresh_token).await;
    refreshed.expect_problem(401, "session_revoked");
    let refreshed = bob.refresh(&bob.refresh_token).await.expect(200);
    let bob = bob.with_token(&refreshed.string("accessToken"));
    assert!(
        is_valid(&app, &bob).await,
        "a client that refreshes goes on"
    );
}

#[tokio::test]
async fn issuers_role_may_neither_count_nor_end_sessions_of_all() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut issuer = app.db.as_issuer().await;
    let everybody = SessionFilter::default();
    assert!(count_many(&mut issuer, &everybody).await.is_err());
    assert!(end_many(&mut issuer, &everybody, |_| ()).await.is_err());
    assert!(is_valid(&app, &ada).await);
}
