use poem::http::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::admin::admin;
use crate::second_factor::with_totp;
use crate::support::app::PASSWORD;
use crate::support::{Actor, Answer, TestApp};

const ME: &str = "/api/v1/auth/me";

async fn patch(who: &Actor<'_>, body: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    who.call(Method::PATCH, ME, &headers, Some(body.to_string()))
        .await
}

#[tokio::test]
async fn name_and_language_change_and_the_rest_stays() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let answer = patch(&ada, json!({"name": "Ada", "locale": "de"}))
        .await
        .expect(200);
    assert_eq!(answer.body["user"]["name"], "Ada");
    let answer = patch(&ada, json!({})).await.expect(200);
    assert_eq!(answer.body["user"]["name"], "Ada");
    assert_eq!(
        app.db
            .value::<String>("select locale from auth.users")
            .await,
        "de"
    );
}

#[tokio::test]
async fn a_profile_refuses_what_is_not_its_own() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let cases: [(Value, &[&str]); 6] = [
        (json!({"name": ""}), &["name"]),
        (json!({"name": "x".repeat(101)}), &["name"]),
        (json!({"role": "admin"}), &["role"]),
        (json!({"email": "eve@example.com"}), &["email"]),
        (json!({"name": 7}), &["name"]),
        (json!({"locale": "tlh"}), &["locale"]),
    ];
    for (body, fields) in cases {
        patch(&ada, body).await.expect_invalid(fields);
    }
    patch(&app.anon(), json!({}))
        .await
        .expect_problem(401, "missing_token");
    ada.post("/api/v1/auth/logout", json!({})).await.expect(200);
    patch(&ada, json!({"name": "Ada"}))
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn an_export_holds_what_is_ones_own_and_nothing_else() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let bob = app.user("bob").await;
    let export = ada.get("/api/v1/auth/export").await.expect(200);
    assert_eq!(export.body["profile"]["email"], "ada@example.com");
    assert_eq!(export.body["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(export.body["creditEntries"][0]["kind"], "bonus");
    let kinds: Vec<&str> = export.body["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["login", "registered"]);
    assert!(!export.text.contains(&bob.id) && !export.text.contains("bob@"));
    assert!(!export.text.contains("argon2") && !export.text.contains("nonce"));
    app.anon()
        .get("/api/v1/auth/export")
        .await
        .expect_problem(401, "missing_token");
    ada.post("/api/v1/auth/logout", json!({})).await.expect(200);
    ada.get("/api/v1/auth/export")
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn an_export_holds_all_of_ones_credits() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let hold = json!({"amount": 10, "appId": "maps", "idempotencyKey": "one"});
    let hold = ada.post("/api/v1/credits/holds", hold).await.expect(201);
    let path = "/api/v1/credits/spend-limits/maps";
    let limits = json!({"day": 50});
    let headers = [("content-type", "application/json")];
    ada.call(Method::PUT, path, &headers, Some(limits.to_string()))
        .await
        .expect(200);
    let export = ada.get("/api/v1/auth/export").await.expect(200).body;
    let grant = &export["creditGrants"][0];
    assert_eq!(
        (&grant["kind"], &grant["held"]),
        (&json!("signup"), &json!(10))
    );
    let held = &export["holds"][0];
    assert_eq!(
        (
            &held["id"],
            &held["status"],
            &held["amount"],
            &held["appId"]
        ),
        (
            &hold.body["hold"]["id"],
            &json!("open"),
            &json!(10),
            &json!("maps")
        )
    );
    let limit = &export["spendLimits"][0];
    assert_eq!(
        (
            &limit["appId"],
            &limit["period"],
            &limit["cap"],
            &limit["setBy"]
        ),
        (&json!("maps"), &json!("day"), &json!(50), &json!("user"))
    );
    let bob = app.user("bob").await;
    let export = bob.get("/api/v1/auth/export").await.expect(200).body;
    assert_eq!(
        (&export["holds"], &export["spendLimits"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn all_of_ones_data_is_read_ten_times_a_minute_and_no_more() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let ada = app.user("ada").await;
    for _ in 0..10 {
        ada.get("/api/v1/auth/export").await.expect(200);
    }
    let refused = ada.get("/api/v1/auth/export").await;
    refused.expect_problem(429, "rate_limited");
    ada.get(ME).await.expect(200);
    app.advance(Duration::seconds(6)).await;
    ada.get("/api/v1/auth/export").await.expect(200);
}

#[tokio::test]
async fn a_deleted_account_is_over_at_once() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let other = ada.login("ada@example.com", json!({})).await;
    ada.delete(ME).await.expect(204);
    for session in [&ada, &other] {
        session.get(ME).await.expect_problem(401, "session_revoked");
        session
            .refresh(&session.refresh_token)
            .await
            .expect_problem(401, "session_revoked");
    }
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    app.anon()
        .post("/api/v1/auth/login", body)
        .await
        .expect_problem(401, "invalid_credentials");
    ada.delete(ME).await.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn deleting_needs_a_recent_sign_in() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.anon()
        .delete(ME)
        .await
        .expect_problem(401, "missing_token");
    app.advance(Duration::minutes(10)).await;
    ada.delete(ME)
        .await
        .expect_problem(403, "reauthentication_required");
    ada.get(ME).await.expect(200);
}

#[tokio::test]
async fn the_last_admin_cannot_delete_their_account() {
    let app = TestApp::start().await;
    let root = admin(&app, "root").await;
    root.delete(ME).await.expect_problem(409, "conflict");
    admin(&app, "boss").await;
    root.delete(ME).await.expect(204);
}

#[tokio::test]
async fn personal_data_goes_after_thirty_days_and_the_ledger_stays() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    app.user("bob").await;
    patch(&ada, json!({"name": "Ada Example"}))
        .await
        .expect(200);
    ada.delete(ME).await.expect(204);
    let personal = "select string_agg(t::text, '') from (select u::text from auth.users u \
        union all select s::text from auth.sessions s where s.user_id <> (select id from auth.users where email = 'bob@example.com') \
        union all select d::text from auth.security_event_details d where d.user_id <> (select id from auth.users where email = 'bob@example.com')) t";
    app.advance(Duration::days(30) - Duration::milliseconds(1))
        .await;
    issuer::accounts::erase_due(&app.app).await.expect("done");
    assert!(
        app.db
            .value::<String>(personal)
            .await
            .contains("ada@example.com")
    );
    app.advance(Duration::milliseconds(1)).await;
    issuer::accounts::erase_due(&app.app).await.expect("done");
    let left: String = app.db.value(personal).await;
    assert!(
        !left.contains("ada@") && !left.contains("Ada Example"),
        "{left}"
    );
    assert!(!left.contains(crate::support::app::HOME), "{left}");
    assert!(left.contains("bob@example.com"), "nobody else is touched");
    let entries: i64 = app.db.value("select count(*) from credits.entries").await;
    assert_eq!(entries, 2, "both bonuses are in the ledger");
    let events: i64 = app
        .db
        .value("select count(*) from auth.security_events where kind = 'account_deleted'")
        .await;
    assert_eq!(events, 1);
}

#[tokio::test]
async fn registering_again_after_deletion_is_a_new_account_without_a_bonus() {
    let app = TestApp::start().await;
    let first = app.user("ada").await;
    first.delete(ME).await.expect(204);
    let second = app.user("ada").await;
    assert_ne!(first.id, second.id);
    let balance = second.get("/api/v1/credits/balance").await.expect(200);
    assert_eq!(balance.body["balance"], 0);
}

#[tokio::test]
async fn an_erased_user_has_rows_only_where_nobody_is_named() {
    let app = TestApp::start().await;
    let (ada, _, _) = with_totp(&app, "ada").await;
    let settings = Some(json!({"theme": "dark"}).to_string());
    let headers = [("content-type", "application/json")];
    ada.call(Method::PATCH, "/api/v1/settings/global", &headers, settings)
        .await
        .expect(200);
    app.db
        .value::<String>(
            "insert into auth.passkeys (id, user_id, credential_id, credential, counter, name, created_at)
             select repeat('p', 22), id, 'x', '{}', 0, 'Key of Ada', created_at from auth.users returning id",
        )
        .await;
    let tables_with_rows = "with c as materialized (select table_name from information_schema.columns
                             where table_schema = 'auth' and column_name = 'user_id')
      select coalesce(string_agg(c.table_name, ' ' order by c.table_name), '') from c
       where (xpath('/row/n/text()', query_to_xml(
               format('select count(*) as n from auth.%I where user_id = (select id from auth.users)', c.table_name),
               false, true, '')))[1]::text::bigint > 0";
    let before: String = app.db.value(tables_with_rows).await;
    for table in [
        "passkeys",
        "recovery_codes",
        "sessions",
        "totp_secrets",
        "user_settings",
    ] {
        assert!(
            before.contains(table),
            "{table} is not part of the scene: {before}"
        );
    }
    ada.delete(ME).await.expect(204);
    app.advance(Duration::days(30)).await;
    issuer::accounts::erase_due(&app.app).await.expect("done");
    let after: String = app.db.value(tables_with_rows).await;
    assert_eq!(after, "security_event_details security_events");
    let left: String = app
        .db
        .value("select string_agg(d::text, '') from auth.security_event_details d")
        .await;
    assert!(
        !left.contains("192.0.2.") && !left.contains("ada@"),
        "{left}"
    );
}
