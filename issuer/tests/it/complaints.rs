//! What people complain about in other systems, and what must happen here instead. One test a
//! complaint, named after it; docs/security.md has the table.

use std::collections::HashSet;

use futures_util::future::join_all;
use issuer::signing_keys;
use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::PASSWORD;
use crate::support::{Answer, MailApp, TestApp};

const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";
const JSON: (&str, &str) = ("content-type", "application/json");
const OWN_ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:3001");

#[tokio::test]
async fn concurrent_refresh_logs_users_out() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut token = ada.refresh_token.clone();
    for _ in 0..5 {
        app.advance(Duration::minutes(14)).await;
        let tabs = join_all((0..3).map(|_| ada.refresh(&token))).await;
        let successors: HashSet<String> = tabs
            .into_iter()
            .map(|tab| tab.expect(200).string("refreshToken"))
            .collect();
        assert_eq!(successors.len(), 1);
        token = successors.into_iter().next().expect("one");
    }
    let rotations: i64 = app.db.value("select counter from auth.sessions").await;
    assert_eq!(rotations, 5);
}

#[tokio::test]
async fn the_losing_refresh_wipes_the_winners_cookies() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let anon = app.anon();
    let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    let path = "/api/v1/auth/login?mode=cookie";
    let signed_in = anon
        .call(Method::POST, path, &[JSON, OWN_ORIGIN], Some(body))
        .await;
    let cookie = refresh_cookie(&signed_in.expect(200));
    let refresh = async |cookie: &str| {
        let headers = [("cookie", cookie), OWN_ORIGIN];
        let path = "/api/v1/auth/refresh";
        anon.call(Method::POST, path, &headers, None).await
    };
    let winner = refresh_cookie(&refresh(&cookie).await.expect(200));
    let garbled = refresh("__Host-tollgate_refresh=garbled")
        .await
        .expect_problem(401, "invalid_refresh_token");
    assert_eq!(garbled.header("set-cookie"), "");
    let loser = refresh(&cookie).await.expect(200);
    assert_eq!(refresh_cookie(&loser), winner);
}

fn refresh_cookie(answer: &Answer) -> String {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let mut pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    let found = pairs.find(|pair| pair.starts_with("__Host-tollgate_refresh="));
    found.expect("the cookie is set").to_owned()
}

#[tokio::test]
async fn a_token_outlives_logout() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    app.publish().await;
    ada.get(ME).await.expect_problem(401, "session_revoked");
    let validated = ada
        .post("/api/v1/auth/validate", json!({"token": ada.access_token}))
        .await
        .expect(200);
    assert_eq!(validated.body["valid"], false);
    let feed = app.anon().get("/.well-known/revocations").await.expect(200);
    assert!(feed.text.split('.').count() == 3, "the edge learns it too");
}

#[tokio::test]
async fn an_expired_access_token_signs_out() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::hours(5)).await;
    ada.get(ME).await.expect_problem(401, "invalid_token");
    let refreshed = ada.refresh(&ada.refresh_token).await.expect(200);
    ada.with_token(&refreshed.string("accessToken"))
        .get(ME)
        .await
        .expect(200);
}

#[tokio::test]
async fn keys_that_rotate_break_sessions() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.advance(Duration::days(6)).await;
    let tokens = ada.refresh(&ada.refresh_token).await.expect(200);
    let before = ada.with_token(&tokens.string("accessToken"));
    signing_keys::rotate(&app.app, signing_keys::Purpose::AccessToken)
        .await
        .expect("the standby is old enough");
    app.maintain_keys().await;
    before.get(ME).await.expect(200);
    let after = ada
        .refresh(&tokens.string("refreshToken"))
        .await
        .expect(200);
    ada.with_token(&after.string("accessToken"))
        .get(ME)
        .await
        .expect(200);
}

#[tokio::test]
async fn hashing_takes_the_service_down() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let wrong = json!({"email": "nobody@example.com", "password": "wrong password"});
    let anon = app.anon();
    let logins = join_all((0..40).map(|_| anon.post(LOGIN, wrong.clone())));
    let (statuses, me) = tokio::join!(logins, ada.get(ME));
    me.expect(200);
    for answer in statuses {
        match answer.status {
            401 => {}
            503 => assert_ne!(answer.header("retry-after"), ""),
            other => panic!("{other}: {}", answer.text),
        }
    }
}

#[tokio::test]
async fn whoever_registers_an_address_first_owns_it() {
    let app = MailApp::start().await;
    let squatter = json!({"email": "ada@example.com", "password": "the squatter's own"});
    let register = "/api/v1/auth/register";
    app.anon()
        .post(register, squatter.clone())
        .await
        .expect(201);
    app.one().await;
    app.advance(Duration::hours(2)).await;
    let owner = json!({"email": "ada@example.com", "password": PASSWORD});
    app.anon().post(register, owner).await.expect(201);
    let token = app.one().await.token();
    let chosen = json!({"token": token, "password": "chosen by the owner"});
    app.anon()
        .post("/api/v1/auth/reset-password", chosen.clone())
        .await
        .expect(200);
    let sign_in = async |password: &Value| {
        let body = json!({"email": "ada@example.com", "password": password});
        app.anon().post(LOGIN, body).await.status
    };
    assert_eq!(sign_in(&chosen["password"]).await, 200);
    assert_eq!(sign_in(&squatter["password"]).await, 401);
}

#[tokio::test]
async fn registering_tells_strangers_who_has_an_account() {
    let app = MailApp::start().await;
    app.user("ada").await;
    let known = app.register("ada").await.expect(201);
    let unknown = app.register("nobody").await.expect(201);
    let shape = |answer: &Answer| -> Vec<String> {
        let user = answer.body["user"].as_object().expect("a user");
        user.iter()
            .map(|(name, value)| match name.as_str() {
                "id" | "email" | "createdAt" => name.clone(),
                _ => format!("{name}={value}"),
            })
            .collect()
    };
    assert_eq!(shape(&known), shape(&unknown));
}

#[tokio::test]
async fn mail_scanners_use_links_up() {
    let app = MailApp::start().await;
    app.register("ada").await.expect(201);
    let mail = app.one().await;
    let link = format!("{}?token={}", mail.page(), mail.token());
    for method in [Method::HEAD, Method::GET, Method::GET] {
        app.anon().call(method, &link, &[], None).await.expect(200);
    }
    app.verify(&mail.token()).await.expect(200);
}

#[tokio::test]
async fn limits_count_the_wrong_address() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let body = json!({"email": "nobody@example.com", "password": PASSWORD});
    for i in 0..20 {
        // The proxy that is trusted appends the last one; what stands before it is claimed.
        let forwarded = format!("203.0.113.{i}, 198.51.100.7");
        let liar = app.anon().calling_from(&forwarded);
        liar.post(LOGIN, body.clone()).await.expect(401);
    }
    app.anon()
        .calling_from("203.0.113.99, 198.51.100.7")
        .post(LOGIN, body.clone())
        .await
        .expect_problem(429, "rate_limited");
    app.anon()
        .calling_from("198.51.100.8")
        .post(LOGIN, body)
        .await
        .expect(401);
}

#[tokio::test]
async fn cookies_and_tokens_outgrow_their_limits() {
    let app = TestApp::start().await;
    let name = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(60));
    let longest = json!({"email": name, "password": PASSWORD, "name": "n".repeat(100)});
    app.anon()
        .post("/api/v1/auth/register", longest)
        .await
        .expect(201);
    let signed_in = app.anon().login(&name, json!({})).await;
    assert!(signed_in.access_token.len() <= 1536);
    assert!(signed_in.refresh_token.len() <= 256);
}

#[tokio::test]
async fn mail_is_lost_when_the_server_is_away() {
    let app = MailApp::start().await;
    app.set_down(true);
    app.register("ada").await.expect(201);
    assert!(app.deliver().await.is_empty());
    app.set_down(false);
    app.advance(Duration::minutes(10)).await;
    let mail = app.one().await;
    assert_eq!(mail.to, "ada@example.com");
    app.advance(Duration::minutes(10)).await;
    assert!(app.deliver().await.is_empty(), "and it comes once");
}

#[tokio::test]
async fn nobody_can_tell_what_happened_to_an_account() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let guess = json!({"email": "ada@example.com", "password": "wrong password"});
    let stranger = app.anon().calling_from("198.51.100.9");
    stranger.post(LOGIN, guess).await.expect(401);
    let events = ada.get("/api/v1/auth/events").await.expect(200);
    let newest = events.body["events"]
        .as_array()
        .and_then(|list| list.first());
    let newest = newest.unwrap_or_else(|| panic!("{}", events.text));
    assert_eq!(
        (&newest["kind"], &newest["outcome"]),
        (&json!("login"), &json!("refused"))
    );
    assert_eq!(newest["ipAddress"], "198.51.100.9");
}

#[tokio::test]
async fn tables_grow_with_every_refresh() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let rows = "select (select count(*) from auth.sessions) + (select count(*) from auth.security_events)
                     + (select count(*) from auth.revocations) + (select count(*) from auth.outbox)";
    let before: i64 = app.db.value(rows).await;
    let mut token = ada.refresh_token.clone();
    for _ in 0..100 {
        app.advance(Duration::minutes(14)).await;
        token = ada.refresh(&token).await.expect(200).string("refreshToken");
    }
    assert_eq!(app.db.value::<i64>(rows).await, before);
}

#[tokio::test]
async fn free_credits_are_farmed_with_spellings_of_one_address() {
    let app = MailApp::start().await;
    let mut granted = 0;
    for name in ["ada", "ada+1", "Ada+shop"] {
        let user = app.user(name).await;
        let balance = user.get("/api/v1/credits/balance").await.expect(200);
        granted += i32::from(balance.body["balance"] == 150);
    }
    assert_eq!(granted, 1);
}
