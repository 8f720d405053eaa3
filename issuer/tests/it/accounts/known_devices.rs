//! Guessing at one account is slowed down, and its owner stays able to sign in.

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use time::Duration;

use crate::support::TestApp;
use crate::support::app::PASSWORD;

const PATH: &str = "/api/v1/auth/login";
/// As an app makes one: random, so that nobody else knows it.
const LAPTOP: &str = "V1StGXR8_Z5jdHi6B-myT";

fn guess(i: usize) -> Value {
    json!({"email": "ada@example.com", "password": format!("guess number {i}")})
}

fn right(device_id: Option<&str>) -> Value {
    let mut body = json!({"email": "ada@example.com", "password": PASSWORD});
    if let Some(id) = device_id {
        body["deviceId"] = json!(id);
    }
    body
}

async fn guess_from(app: &TestApp, n_addresses: usize, n_each: usize) -> Vec<u16> {
    iter(0..n_addresses * n_each)
        .map(async |i| {
            let ip = format!("198.51.100.{}", i % n_addresses);
            let stranger = app.anon().calling_from(&ip);
            stranger.post(PATH, guess(i)).await.status
        })
        .buffer_unordered(4)
        .collect()
        .await
}

#[tokio::test]
async fn a_thousand_wrong_passwords_from_a_hundred_addresses_do_not_keep_the_owner_out() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let ada = app.user("ada").await;
    ada.login("ada@example.com", json!({"deviceId": LAPTOP}))
        .await;
    let statuses = guess_from(&app, 100, 10).await;
    let n_slowed = statuses.iter().filter(|status| **status == 429).count();
    let n_tried = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(n_slowed + n_tried, 1000, "{statuses:?}");
    // 30 for the account, less what she used herself, and one for each address.
    assert!((100..=130).contains(&n_tried), "{n_tried} were tried");

    let at_home = app.anon();
    at_home.post(PATH, right(None)).await.expect(200);
    // Away from home, and at an issuer that was started a moment ago.
    let fresh = app.second(&[("RATE_LIMIT_SCALE", "1")]).await;
    guess_from(&fresh, 40, 10).await;
    let away = fresh.anon().calling_from("203.0.113.77");
    for _ in 0..3 {
        away.post(PATH, right(Some(LAPTOP))).await.expect(200);
    }
}

#[tokio::test]
async fn a_stranger_whose_address_has_not_tried_lately_has_one_try_in_ten_minutes() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    app.user("ada").await;
    guess_from(&app, 3, 15).await;
    let elsewhere = app.anon().calling_from("203.0.113.5");
    elsewhere.post(PATH, guess(1)).await.expect(401);
    let refused = elsewhere.post(PATH, guess(2)).await;
    let refused = refused.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "2");
    for minutes in [0, 5] {
        app.advance(Duration::minutes(minutes)).await;
        guess_from(&app, 3, 15).await;
        elsewhere.post(PATH, right(None)).await.expect(429);
    }
    app.advance(Duration::minutes(5)).await;
    guess_from(&app, 3, 15).await;
    elsewhere.post(PATH, right(None)).await.expect(200);
    elsewhere.post(PATH, right(None)).await.expect(200);
}

#[tokio::test]
async fn an_address_without_an_account_is_slowed_down_alike() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    app.user("ada").await;
    let mut seen = Vec::new();
    for email in ["ada@example.com", "nobody@example.com"] {
        let mut statuses = Vec::new();
        for i in 0..36 {
            let body = json!({"email": email, "password": format!("guess number {i}")});
            let stranger = app.anon().calling_from(&format!("198.51.100.{}", i % 3));
            statuses.push(stranger.post(PATH, body).await.status);
        }
        seen.push(statuses.split_off(30));
        app.advance(Duration::minutes(10)).await;
    }
    // Ada's own sign-in drew on her budget once.
    assert_eq!(seen[0].iter().filter(|status| **status == 429).count(), 4);
    assert_eq!(seen[1].iter().filter(|status| **status == 429).count(), 3);
}

#[tokio::test]
async fn what_makes_a_device_known() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let ada = app.user("ada").await;
    let v6 = app.anon().calling_from("2001:db8:1:2::1");
    v6.post(PATH, right(Some(LAPTOP))).await.expect(200);
    let cases = [
        ("192.0.2.10", None, true),
        ("192.0.2.11", None, false),
        ("192.0.2.11", Some(LAPTOP), true),
        ("192.0.2.11", Some("V1StGXR8_Z5jdHi6B-myX"), false),
        ("2001:db8:1:2:3:4:5:6", None, true),
        ("2001:db8:1:3::1", None, false),
    ];
    let is_known = async |ip: &str, device: Option<&str>| -> bool {
        let mut issuer = app.db.as_issuer().await;
        sqlx::query_scalar("select auth.is_known_client($1, $2, $3)")
            .bind(&ada.id)
            .bind(ip)
            .bind(device)
            .fetch_one(&mut issuer)
            .await
            .expect("answered")
    };
    for (ip, device, expected) in cases {
        assert_eq!(is_known(ip, device).await, expected, "{ip} {device:?}");
    }
    let app_db = &app.db;
    let set = async |sql: &'static str| {
        sqlx::query(sql).execute(&app_db.owner).await.expect(sql);
    };
    set("update auth.sessions set revoked_at = auth.clock(), revoked_reason = 'logout'").await;
    assert!(
        is_known("192.0.2.11", Some(LAPTOP)).await,
        "an ended session counts"
    );
    for reason in ["reuse", "revoked_by_user", "revoked_by_admin", "banned"] {
        sqlx::query("update auth.sessions set revoked_reason = $1")
            .bind(reason)
            .execute(&app.db.owner)
            .await
            .expect("set");
        assert!(!is_known("192.0.2.11", Some(LAPTOP)).await, "{reason}");
    }
    set("update auth.sessions set revoked_reason = 'logout', device_id = 'phone'").await;
    assert!(
        !is_known("192.0.2.11", Some("phone")).await,
        "it can be guessed"
    );
    set("update auth.sessions set impersonator_id = 'somebody'").await;
    assert!(!is_known("192.0.2.10", None).await, "it was not she");
}
