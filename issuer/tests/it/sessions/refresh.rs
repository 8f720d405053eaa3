use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use crate::support::{Actor, Answer, TestApp};

/// How long a spent token is answered with the successor.
const GRACE: Duration = Duration::seconds(10);

#[tokio::test]
async fn refresh_answers_a_successor_and_a_new_access_token() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let answer = ada.refresh(&ada.refresh_token).await.expect(200);
    assert_eq!(answer.body["tokenType"], "Bearer");
    assert_eq!(answer.body["expiresIn"], 900);
    assert_ne!(answer.string("refreshToken"), ada.refresh_token);
    assert_ne!(answer.string("accessToken"), ada.access_token);
    assert_eq!(answer.header("cache-control"), "no-store");
    ada.with_token(&answer.string("accessToken"))
        .get("/api/v1/auth/me")
        .await
        .expect(200);
}

#[tokio::test]
async fn fifty_refreshes_with_one_token_through_two_issuers_are_one_rotation() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    let there = ada.at(&second);
    let calls = (0..50).map(|i| {
        let actor = if i % 2 == 0 { &ada } else { &there };
        actor.refresh(&ada.refresh_token)
    });
    let answers: Vec<Answer> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.expect(200))
        .collect();
    let successors: HashSet<String> = answers
        .iter()
        .map(|answer| answer.string("refreshToken"))
        .collect();
    let access: HashSet<String> = answers
        .iter()
        .map(|answer| answer.string("accessToken"))
        .collect();
    assert_eq!((successors.len(), access.len()), (1, 50));
    assert_eq!(
        app.db
            .value::<i64>("select counter from auth.sessions")
            .await,
        1
    );
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.security_events where kind like 'refresh%'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_spent_token_within_the_grace_gets_the_same_successor() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let first = ada.refresh(&ada.refresh_token).await.expect(200);
    app.advance(GRACE - Duration::microseconds(1)).await;
    let again = ada.refresh(&ada.refresh_token).await.expect(200);
    assert_eq!(again.string("refreshToken"), first.string("refreshToken"));
}

#[tokio::test]
async fn every_token_that_was_current_within_the_grace_gets_the_current_one() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut spent = vec![ada.refresh_token.clone()];
    for _ in 0..4 {
        let answer = ada.refresh(spent.last().expect("one")).await.expect(200);
        spent.push(answer.string("refreshToken"));
        app.advance(Duration::seconds(2)).await;
    }
    let current = spent.pop().expect("the last");
    for token in &spent {
        assert_eq!(
            ada.refresh(token).await.expect(200).string("refreshToken"),
            current
        );
    }
    // The first was spent 8 s ago; 2 s later its grace has ended while the second's has not.
    app.advance(Duration::seconds(2)).await;
    assert_eq!(
        ada.refresh(&spent[1])
            .await
            .expect(200)
            .string("refreshToken"),
        current
    );
    ada.refresh(&spent[0])
        .await
        .expect_problem(401, "refresh_token_reused");
}

#[tokio::test]
async fn a_lost_answer_repeated_after_a_minute_gets_another_successor_and_the_lost_one_is_reuse() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    let lost = ada
        .refresh(&ada.refresh_token)
        .await
        .expect(200)
        .string("refreshToken");
    app.advance(Duration::minutes(1)).await;
    let forked = ada
        .at(&second)
        .refresh(&ada.refresh_token)
        .await
        .expect(200);
    assert_ne!(forked.string("refreshToken"), lost);
    ada.refresh(&lost)
        .await
        .expect_problem(401, "refresh_token_reused");
    let list = app
        .anon()
        .login("ada@example.com", json!({}))
        .await
        .get("/api/v1/auth/sessions")
        .await
        .expect(200);
    assert_eq!(
        list.body.as_array().map(Vec::len),
        Some(1),
        "the session is gone from the list"
    );
    app.publish().await;
    let fresh = forked.string("accessToken");
    ada.at(&second)
        .with_token(&fresh)
        .get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    let kinds: Vec<String> = app
        .db
        .value("select array_agg(kind order by id) from auth.security_events where kind like 'refresh%'")
        .await;
    assert_eq!(kinds, ["refresh_forked", "refresh_reused"]);
}

#[tokio::test]
async fn a_lost_answer_may_be_lost_again() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for _ in 0..5 {
        ada.refresh(&ada.refresh_token).await.expect(200);
        app.advance(Duration::minutes(1)).await;
    }
    let answer = ada.refresh(&ada.refresh_token).await.expect(200);
    ada.refresh(&answer.string("refreshToken"))
        .await
        .expect(200);
}

#[tokio::test]
async fn refresh_with_spent_token_revokes_session() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let second = ada
        .refresh(&ada.refresh_token)
        .await
        .expect(200)
        .string("refreshToken");
    app.advance(Duration::minutes(1)).await;
    let third = ada
        .refresh(&second)
        .await
        .expect(200)
        .string("refreshToken");
    app.advance(Duration::minutes(1)).await;
    let answer = ada
        .refresh(&ada.refresh_token)
        .await
        .expect_problem(401, "refresh_token_reused");
    assert_eq!(
        answer.header("set-cookie"),
        "",
        "a refused refresh never touches a cookie"
    );
    ada.refresh(&third)
        .await
        .expect_problem(401, "session_revoked");
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn reuse_is_acted_on_once() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    reuse(&app, &ada).await;
    for _ in 0..3 {
        ada.refresh(&ada.refresh_token)
            .await
            .expect_problem(401, "session_revoked");
    }
    let acts: Vec<i64> = app
        .db
        .value(
            "select array[(select count(*) from auth.security_events where kind = 'refresh_reused'), \
             (select count(*) from auth.revocations), (select count(*) from auth.outbox where topic = 'mail')]",
        )
        .await;
    assert_eq!(acts, [1, 1, 1]);
}

async fn reuse(app: &TestApp, ada: &Actor<'_>) {
    let second = ada
        .refresh(&ada.refresh_token)
        .await
        .expect(200)
        .string("refreshToken");
    app.advance(Duration::minutes(1)).await;
    ada.refresh(&second).await.expect(200);
    app.advance(Duration::minutes(1)).await;
    ada.refresh(&ada.refresh_token)
        .await
        .expect_problem(401, "refresh_token_reused");
}

#[tokio::test]
async fn a_counter_ahead_of_a_restored_database_moves_the_row_forward() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let second = ada
        .refresh(&ada.refresh_token)
        .await
        .expect(200)
        .string("refreshToken");
    let third = ada
        .refresh(&second)
        .await
        .expect(200)
        .string("refreshToken");
    let restore = "update auth.sessions set counter = 0, previous_counter = null, rotated_at = null, \
                   recent_counters = '{}', recent_ended_at = '{}'";
    sqlx::query(restore)
        .execute(&app.db.owner)
        .await
        .expect("restored");
    let fourth = ada.refresh(&third).await.expect(200).string("refreshToken");
    assert_eq!(
        app.db
            .value::<i64>("select counter from auth.sessions")
            .await,
        3
    );
    ada.refresh(&fourth).await.expect(200);
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.security_events where kind = 'refresh_ahead'")
            .await,
        1
    );
}

#[tokio::test]
async fn garbage_is_refused_without_touching_the_database() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.app.db.close().await;
    let mut altered = ada.refresh_token.clone();
    altered.replace_range(30..31, if &altered[30..31] == "A" { "B" } else { "A" });
    for garbage in [
        "",
        "x",
        "tgr_",
        &altered,
        &format!("{0}{0}", ada.refresh_token),
        &ada.access_token,
    ] {
        ada.refresh(garbage)
            .await
            .expect_problem(401, "invalid_refresh_token");
    }
    ada.refresh(&ada.refresh_token)
        .await
        .expect_problem(503, "unavailable");
}

#[tokio::test]
async fn a_session_expires_seven_days_after_its_last_refresh() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::days(7) - Duration::microseconds(1))
        .await;
    let next = ada
        .refresh(&ada.refresh_token)
        .await
        .expect(200)
        .string("refreshToken");
    app.advance(Duration::days(7)).await;
    ada.refresh(&next)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn a_session_ends_after_ninety_days_however_often_it_refreshes() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut token = ada.refresh_token.clone();
    for _ in 0..15 {
        app.advance(Duration::days(6) - Duration::microseconds(1))
            .await;
        token = ada.refresh(&token).await.expect(200).string("refreshToken");
    }
    app.advance(Duration::microseconds(15)).await;
    ada.refresh(&token)
        .await
        .expect_problem(401, "session_revoked");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.security_events where kind like 'refresh%'")
            .await,
        0
    );
}

#[tokio::test]
async fn refresh_tokens_survive_a_change_of_the_master_key() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let old = issuer::secret::MasterKey::from_bytes([7; 32])
        .to_base64()
        .to_string();
    let new = issuer::secret::MasterKey::from_bytes([8; 32])
        .to_base64()
        .to_string();
    let changed = app
        .second(&[("MASTER_KEY", &new), ("MASTER_KEY_PREVIOUS", &old)])
        .await;
    let answer = ada
        .at(&changed)
        .refresh(&ada.refresh_token)
        .await
        .expect(200);
    ada.at(&changed)
        .refresh(&answer.string("refreshToken"))
        .await
        .expect(200);
    changed.maintain_keys().await;
    let versions: Vec<i32> = app
        .db
        .value("select array_agg(distinct master_key_version) from auth.signing_keys")
        .await;
    assert_eq!(versions, [2], "every key is sealed again");
}

#[tokio::test]
async fn a_stolen_database_holds_nothing_that_could_be_presented() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let dump: String = app
        .db
        .value("select string_agg(s::text, '') from auth.sessions s")
        .await;
    let token = ada.refresh_token.trim_start_matches("tgr_");
    assert!(
        !dump.contains(&token[40..60]),
        "part of the token is stored"
    );
}
