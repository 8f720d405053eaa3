use std::collections::BTreeSet;

use base64ct::{Base64UrlUnpadded, Encoding};
use futures_util::future::join_all;
use poem::http::Method;
use serde_json::json;
use shared_claims::{KeySet, Revocations, UnixTime};
use time::Duration;

use super::payload;
use crate::support::{Actor, TestApp};

const PATH: &str = "/.well-known/revocations";

async fn revocations(app: &TestApp) -> Revocations {
    let keys = KeySet::from_json(
        app.anon()
            .get("/.well-known/feed-jwks.json")
            .await
            .text
            .as_bytes(),
    )
    .expect("a key set");
    let now = UnixTime::from_secs(
        u64::try_from(app.app.clock.now().unix_timestamp()).expect("after 1970"),
    );
    let jws = app.anon().get(PATH).await.text;
    Revocations::from_jws(&jws, &keys, &app.app.config.tokens.issuer, now)
        .expect("a document that verifies")
}

#[tokio::test]
async fn the_feed_is_signed_by_its_own_key_and_lists_what_was_ended() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    assert_eq!(revocations(&app).await.len(), 0);
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    app.publish().await;
    let feed = revocations(&app).await;
    assert_eq!((feed.len(), feed.seq()), (1, 1));
}

#[tokio::test]
async fn a_session_ended_at_one_issuer_is_in_the_feed_of_both() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    app.publish().await;
    second.publish().await;
    let here = app.anon().get(PATH).await.text;
    assert_eq!(
        here,
        second.anon().get(PATH).await.text,
        "every issuer serves the same bytes"
    );
    assert_eq!(payload(&here)["seq"], 1);
    let valid = second
        .anon()
        .post("/api/v1/auth/validate", json!({"token": ada.access_token}))
        .await
        .expect(200);
    assert_eq!(valid.body["error"], "revoked");
}

#[tokio::test]
async fn a_hundred_logouts_in_any_order_through_two_issuers_are_all_in_it_without_a_gap() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    let ada = app.user("ada").await;
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.push(app.anon().login("ada@example.com", json!({})).await);
    }
    let logouts = sessions.iter().enumerate().map(|(i, session)| {
        let target = if i % 2 == 0 { &app } else { &second };
        async move {
            session
                .at(target)
                .post_empty("/api/v1/auth/logout")
                .await
                .expect(200)
        }
    });
    let publishing = async {
        for _ in 0..20 {
            app.publish().await;
            second.publish().await;
        }
    };
    tokio::join!(join_all(logouts), publishing);
    app.publish().await;
    second.publish().await;
    assert_eq!(revocations(&second).await.len(), 100);
    let numbers: Vec<i64> = app
        .db
        .value("select array_agg(seq order by seq) from auth.revocations")
        .await;
    assert_eq!(numbers, (1..=100).collect::<Vec<i64>>());
    drop(ada);
}

#[tokio::test]
async fn as_of_moves_on_each_second_although_nothing_happened() {
    let app = TestApp::start().await;
    let before = payload(&app.anon().get(PATH).await.text);
    app.advance(Duration::milliseconds(900)).await;
    app.publish().await;
    assert_eq!(payload(&app.anon().get(PATH).await.text), before);
    app.advance(Duration::milliseconds(100)).await;
    app.publish().await;
    let after = payload(&app.anon().get(PATH).await.text);
    assert_eq!(
        after["asOf"].as_i64(),
        before["asOf"].as_i64().map(|secs| secs + 1)
    );
    assert_eq!(
        after["exp"].as_i64(),
        after["asOf"].as_i64().map(|secs| secs + 60)
    );
    assert_eq!(after["seq"], before["seq"]);
}

#[tokio::test]
async fn since_answers_only_what_came_after_and_names_its_base() {
    let app = TestApp::start().await;
    for name in ["ada", "bob"] {
        app.user(name)
            .await
            .post_empty("/api/v1/auth/logout")
            .await
            .expect(200);
        app.publish().await;
    }
    let sids = |feed: &serde_json::Value| {
        Base64UrlUnpadded::decode_vec(feed["sids"].as_str().expect("text"))
            .expect("base64url")
            .len()
            / 8
    };
    let full = payload(&app.anon().get(PATH).await.text);
    assert_eq!((sids(&full), full.get("base")), (2, None));
    for (since, listed) in [(0, 2), (1, 1), (2, 0)] {
        let delta = payload(&app.anon().get(&format!("{PATH}?since={since}")).await.text);
        assert_eq!(
            (sids(&delta), &delta["base"], &delta["seq"]),
            (listed, &json!(since), &json!(2))
        );
    }
    for unknown in [3, -1] {
        let whole = payload(
            &app.anon()
                .get(&format!("{PATH}?since={unknown}"))
                .await
                .text,
        );
        assert_eq!(
            whole, full,
            "a number we never gave gets the whole document"
        );
    }
    app.anon()
        .get(&format!("{PATH}?since=x"))
        .await
        .expect_invalid(&["since"]);
}

#[tokio::test]
async fn who_holds_the_document_is_told_so() {
    let app = TestApp::start().await;
    let etag = app.anon().get(PATH).await.header("etag").to_owned();
    let again = app
        .anon()
        .call(Method::GET, PATH, &[("if-none-match", &etag)], None)
        .await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}

#[tokio::test]
async fn an_entry_stays_until_no_verifier_accepts_a_token_it_concerns() {
    let app = TestApp::start().await;
    app.user("ada")
        .await
        .post_empty("/api/v1/auth/logout")
        .await
        .expect(200);
    // 900 s of life, a second of rounding, 190 s of leeway, skew and grace.
    app.advance(Duration::seconds(900 + 1 + 190) - Duration::microseconds(1))
        .await;
    app.publish().await;
    assert_eq!(revocations(&app).await.len(), 1);
    app.advance(Duration::seconds(2)).await;
    app.publish().await;
    assert_eq!(revocations(&app).await.len(), 0);
    issuer::revocations::sweep(&app.app).await.expect("swept");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.revocations")
            .await,
        0
    );
}

#[tokio::test]
async fn an_overfull_feed_becomes_one_cut_off_and_clients_refresh() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let fill = "insert into auth.revocations (kind, prefix, created_at, expires_at) \
                select 'session', substr(sha256(i::text::bytea), 1, 8), auth.clock(), auth.clock() + interval '1 hour' \
                from generate_series(1, 10001) i";
    sqlx::query(fill)
        .execute(&app.db.owner)
        .await
        .expect("filled");
    app.publish().await;
    let feed = revocations(&app).await;
    assert_eq!(feed.len(), 0);
    ada.get("/api/v1/auth/me")
        .await
        .expect_problem(401, "session_revoked");
    let answer = ada.refresh(&ada.refresh_token).await.expect(200);
    ada.with_token(&answer.string("accessToken"))
        .get("/api/v1/auth/me")
        .await
        .expect(200);
}

#[tokio::test]
async fn ten_thousand_entries_stay_below_the_size_every_edge_accepts() {
    let app = TestApp::start().await;
    let fill = "insert into auth.revocations (kind, prefix, created_at, expires_at) \
                select 'session', substr(sha256(i::text::bytea), 1, 8), auth.clock(), auth.clock() + interval '1 hour' \
                from generate_series(1, 10000) i";
    sqlx::query(fill)
        .execute(&app.db.owner)
        .await
        .expect("filled");
    app.publish().await;
    assert_eq!(revocations(&app).await.len(), 10_000);
    let size = app.anon().get(PATH).await.text.len();
    assert!(size <= 160 * 1024, "{size} bytes");
}

#[tokio::test]
async fn session_ids_are_not_in_the_feed_only_their_digests() {
    let app = TestApp::start().await;
    let ada: Actor<'_> = app.user("ada").await;
    let sid: String = app.db.value("select id from auth.sessions").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    app.publish().await;
    let feed = payload(&app.anon().get(PATH).await.text);
    assert!(!feed.to_string().contains(&sid));
    let names: BTreeSet<&str> = feed
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "asOf", "denyKids", "epoch", "exp", "iat", "iss", "seq", "sids", "subs", "v"
        ])
    );
}

#[tokio::test]
async fn a_stored_document_that_no_longer_verifies_is_published_anew_at_once() {
    let app = TestApp::start().await;
    let renamed = app
        .second(&[("JWT_ISSUER", "https://id.example.com")])
        .await;
    assert_eq!(revocations(&renamed).await.seq(), 0);
    let feed = payload(&renamed.anon().get(PATH).await.text);
    assert_eq!(feed["iss"], "https://id.example.com");
}

#[tokio::test]
async fn as_of_never_goes_back_although_the_servers_clock_does() {
    let app = TestApp::start().await;
    let before = payload(&app.anon().get(PATH).await.text);
    let ada = app.user("ada").await;
    app.advance(Duration::seconds(-30)).await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    app.publish().await;
    let after = payload(&app.anon().get(PATH).await.text);
    assert_eq!(
        (&after["seq"], &after["asOf"]),
        (&json!(1), &before["asOf"])
    );
}
