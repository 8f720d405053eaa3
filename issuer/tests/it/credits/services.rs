//! Services that place holds and charge, as a gateway does, and what nobody gains by tricks.

use poem::http::Method;
use serde_json::{Value, json};
use sqlx::error::DatabaseError;
use time::Duration;

use super::Ledger;
use super::ledger::{BALANCE, HOLDS, TRANSACTIONS, USE, balance, capture, held, release};
use crate::support::{Actor, Answer, TestApp};

const APPS: &str = "/api/v1/admin/apps";
const CREDENTIALS: &str = "/api/v1/admin/service-credentials";

/// An issuer with two apps; all services are made by one admin.
struct Scene {
    ledger: Ledger,
}

impl Scene {
    async fn start() -> Self {
        let ledger = Ledger::start().await;
        let root = ledger.admin("root").await;
        for id in ["shop", "other"] {
            let app = json!({"appId": id, "name": id, "spendLimitDay": 100});
            root.post(APPS, app).await.expect(201);
        }
        drop(root);
        Self { ledger }
    }

    /// A service of an app with a credential of its own: its id, and the service as a caller.
    async fn service(&self, app_id: &str, more: Value) -> (String, Actor<'_>) {
        let root = self
            .ledger
            .anon()
            .login("root@example.com", json!({}))
            .await;
        let mut body = json!({"name": "gateway", "appId": app_id, "scopes": ["credits:hold"]});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let made = root.post(CREDENTIALS, body).await.expect(201);
        let caller = self.ledger.anon().with_token(&made.string("secret"));
        (made.string("id"), caller)
    }

    async fn gateway(&self) -> Actor<'_> {
        self.service("shop", json!({})).await.1
    }
}

/// What a service asks for a user by the user's token.
async fn ask(service: &Actor<'_>, path: &str, user_token: &str, body: &Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-user-token", user_token),
    ];
    service
        .call(Method::POST, path, &headers, Some(body.to_string()))
        .await
}

fn reservation(key: &str) -> Value {
    json!({"amount": 10, "appId": "shop", "description": "search", "idempotencyKey": key})
}

async fn place(service: &Actor<'_>, user: &Actor<'_>, key: &str) -> Answer {
    ask(service, HOLDS, &user.access_token, &reservation(key)).await
}

async fn placed(service: &Actor<'_>, user: &Actor<'_>, key: &str) -> String {
    let answer = place(service, user, key).await.expect(201);
    answer.body["hold"]["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

async fn charge(service: &Actor<'_>, user: &Actor<'_>, key: &str) -> Answer {
    ask(service, USE, &user.access_token, &reservation(key)).await
}

#[tokio::test]
async fn a_hold_by_a_service_is_on_the_account_of_the_user_whose_token_it_shows() {
    let scene = Scene::start().await;
    let gateway = scene.gateway().await;
    let (ada, bob) = (
        scene.ledger.user("ada").await,
        scene.ledger.user("bob").await,
    );
    let first = placed(&gateway, &ada, "a").await;
    let second = placed(&gateway, &ada, "b").await;
    let figures = ada.get(BALANCE).await.expect(200).body;
    assert_eq!(
        (&figures["balance"], &figures["held"]),
        (&json!(130), &json!(20))
    );
    assert_eq!(balance(&bob).await, 150);
    capture(&gateway, &first, "c", json!({})).await.expect(200);
    release(&gateway, &second, "d").await.expect(200);
    let listed = ada.get(TRANSACTIONS).await.expect(200).body;
    let newest = &listed[0];
    assert_eq!(
        (
            &newest["type"],
            &newest["amount"],
            &newest["appId"],
            &newest["description"]
        ),
        (
            &json!("usage"),
            &json!(-10),
            &json!("shop"),
            &json!("search")
        )
    );
    assert_eq!(balance(&ada).await, 140);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn the_user_cannot_release_capture_or_replay_what_the_service_holds() {
    let scene = Scene::start().await;
    let gateway = scene.gateway().await;
    let (ada, eve) = (
        scene.ledger.user("ada").await,
        scene.ledger.user("eve").await,
    );
    let id = placed(&gateway, &ada, "gateway-key").await;
    // Even the very key of the gateway, and the very id of the hold, open nothing.
    for user in [&ada, &eve] {
        for key in ["gateway-key", "another"] {
            release(user, &id, key)
                .await
                .expect_problem(404, "not_found");
            capture(user, &id, key, json!({"amount": 1, "final": true}))
                .await
                .expect_problem(404, "not_found");
        }
    }
    // A user's own hold with the gateway's key is another hold.
    let own = ada
        .post(HOLDS, reservation("gateway-key"))
        .await
        .expect(201);
    assert_ne!(own.body["hold"]["id"], json!(id));
    assert_eq!(own.header("idempotent-replayed"), "");
    capture(&gateway, &id, "end", json!({})).await.expect(200);
    let ended = capture(&gateway, &id, "end", json!({})).await.expect(200);
    assert_eq!(ended.header("idempotent-replayed"), "true");
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_key_the_user_burns_beforehand_does_not_spoil_the_services() {
    let scene = Scene::start().await;
    let gateway = scene.gateway().await;
    let ada = scene.ledger.user("ada").await;
    // Guessed keys, each burnt by a charge, a hold and a refusal.
    ada.post(USE, reservation("one")).await.expect(200);
    ada.post(HOLDS, reservation("two")).await.expect(201);
    let too_much = json!({"amount": 100_000, "appId": "shop", "idempotencyKey": "three"});
    ada.post(HOLDS, too_much).await.expect(402);
    for key in ["one", "two", "three"] {
        let answer = place(&gateway, &ada, key).await.expect(201);
        assert_eq!(answer.header("idempotent-replayed"), "");
    }
    assert_eq!(balance(&ada).await, 100);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_repeated_request_of_a_service_gets_its_answer_again() {
    let scene = Scene::start().await;
    let gateway = scene.gateway().await;
    let ada = scene.ledger.user("ada").await;
    let id = placed(&gateway, &ada, "k").await;
    let again = place(&gateway, &ada, "k").await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body["hold"]["id"], json!(id));
    charge(&gateway, &ada, "k")
        .await
        .expect_problem(422, "idempotency_key_reused");
    let first = charge(&gateway, &ada, "u").await.expect(200);
    let second = charge(&gateway, &ada, "u").await.expect(200);
    assert_eq!(first.body, second.body);
    let too_much =
        json!({"amount": 1000, "appId": "shop", "description": "x", "idempotencyKey": "much"});
    for path in [HOLDS, USE] {
        let mut body = too_much.clone();
        body["idempotencyKey"] = json!(format!("much{path}"));
        for replayed in ["", "true"] {
            let refused = ask(&gateway, path, &ada.access_token, &body).await;
            let refused = refused.expect_problem(402, "insufficient_credits");
            assert_eq!(refused.body["balance"], 130);
            assert_eq!(refused.header("idempotent-replayed"), replayed);
        }
    }
    assert_eq!(balance(&ada).await, 130);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_service_without_a_good_token_of_the_user_gets_nothing() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let gateway = scene.gateway().await;
    let ada = ledger.user("ada").await;
    let foreign = TestApp::start_with(&[("JWT_AUDIENCE", "elsewhere")]).await;
    let stranger = foreign.user("ada").await;
    for path in [HOLDS, USE] {
        let missing = gateway.post(path, reservation("k")).await;
        let missing = missing.expect_problem(401, "missing_token");
        assert!(missing.string("detail").contains("X-User-Token"));
        for token in [
            String::new(),
            "x".into(),
            format!("Bearer {}", ada.access_token),
            gateway.access_token.clone(),
            ada.refresh_token.clone(),
            ada.access_token[..ada.access_token.len() - 4].to_owned(),
            stranger.access_token.clone(),
        ] {
            let refused = ask(&gateway, path, &token, &reservation("k")).await;
            refused.expect_problem(401, "invalid_token");
        }
        let twice = [
            ("content-type", "application/json"),
            ("x-user-token", ada.access_token.as_str()),
            ("x-user-token", ada.access_token.as_str()),
        ];
        let body = Some(reservation("k").to_string());
        let twice = gateway.call(Method::POST, path, &twice, body).await;
        twice.expect_problem(401, "invalid_token");
    }
    assert_eq!(ledger.n_entries().await, 2, "the bonuses of root and ada");
    scene.ledger.finish().await;
}

#[tokio::test]
async fn an_expired_or_revoked_token_of_the_user_gets_nothing_and_what_is_held_can_be_ended() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let gateway = scene.gateway().await;
    let (ada, bob) = (ledger.user("ada").await, ledger.user("bob").await);
    let (late, banned) = (
        placed(&gateway, &ada, "a").await,
        placed(&gateway, &bob, "b").await,
    );
    let root = ledger.anon().login("root@example.com", json!({})).await;
    let ban = json!({"reason": "fraud"});
    root.post(&format!("/api/v1/admin/users/{}/ban", bob.id), ban)
        .await
        .expect(204);
    let cy = ledger.user("cy").await;
    cy.post_empty("/api/v1/auth/logout").await.expect(200);
    ledger.publish().await;
    for path in [HOLDS, USE] {
        for user in [&bob, &cy] {
            let refused = ask(&gateway, path, &user.access_token, &reservation("k")).await;
            refused.expect_problem(401, "session_revoked");
        }
    }
    capture(&gateway, &banned, "c", json!({})).await.expect(200);
    // Thirty seconds of leeway, and not a second more.
    ledger.advance(Duration::seconds(290)).await;
    capture(&gateway, &late, "d", json!({})).await.expect(200);
    ledger.advance(Duration::seconds(900 + 29 - 290)).await;
    placed(&gateway, &ada, "e").await;
    ledger.advance(Duration::seconds(1)).await;
    let refused = place(&gateway, &ada, "f")
        .await
        .expect_problem(401, "invalid_token");
    assert_eq!(refused.string("detail"), "expired");
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_service_spends_only_in_its_own_app_with_its_scope_and_with_a_key() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let gateway = scene.gateway().await;
    let (_, stranger) = scene.service("other", json!({})).await;
    let (scopeless_id, scopeless) = scene.service("shop", json!({})).await;
    let sql = "update auth.service_credentials set scopes = '{other:thing}' where id = $1";
    ledger.run(sqlx::query(sql).bind(&scopeless_id)).await;
    let ada = ledger.user("ada").await;
    for path in [HOLDS, USE] {
        for service in [&stranger, &scopeless] {
            let refused = ask(service, path, &ada.access_token, &reservation("k")).await;
            refused.expect_problem(403, "forbidden");
        }
        let mut keyless = reservation("k");
        keyless
            .as_object_mut()
            .expect("an object")
            .remove("idempotencyKey");
        let refused = ask(&gateway, path, &ada.access_token, &keyless).await;
        refused.expect_invalid(&["idempotencyKey"]);
        // A user has one token, which is their own.
        let refused = ask(&ada, path, &ada.access_token, &reservation("k")).await;
        refused.expect_invalid(&["X-User-Token"]);
    }
    for scope in ["credits:holds", "credits", "credits:hold "] {
        let root = ledger.anon().login("root@example.com", json!({})).await;
        let body = json!({"name": "x", "appId": "shop", "scopes": [scope]});
        root.post(CREDENTIALS, body)
            .await
            .expect_invalid(&["scopes"]);
    }
    assert_eq!(balance(&ada).await, 150);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_hold_of_another_service_does_not_exist_be_it_of_the_same_app() {
    let scene = Scene::start().await;
    let gateway = scene.gateway().await;
    let (_, sister) = scene.service("shop", json!({})).await;
    let (_, stranger) = scene.service("other", json!({})).await;
    let ada = scene.ledger.user("ada").await;
    let id = placed(&gateway, &ada, "k").await;
    for service in [&sister, &stranger] {
        capture(service, &id, "k", json!({}))
            .await
            .expect_problem(404, "not_found");
        release(service, &id, "k")
            .await
            .expect_problem(404, "not_found");
    }
    // Their keys are their own, too.
    let other = place(&sister, &ada, "k").await.expect(201);
    assert_ne!(other.body["hold"]["id"], json!(id));
    // What a user has placed in the app, any of its services may end.
    let own = ada.post(HOLDS, reservation("own")).await.expect(201);
    let own = own.body["hold"]["id"].as_str().expect("an id").to_owned();
    capture(&stranger, &own, "o", json!({}))
        .await
        .expect_problem(404, "not_found");
    capture(&sister, &own, "o", json!({})).await.expect(200);
    release(&gateway, &id, "end").await.expect(200);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn limits_and_freezes_bind_services_as_they_bind_users() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let gateway = scene.gateway().await;
    let ada = ledger.user("ada").await;
    let mut id = String::new();
    for n in 0..9 {
        id = placed(&gateway, &ada, &format!("h{n}")).await;
    }
    charge(&gateway, &ada, "u").await.expect(200);
    for path in [HOLDS, USE] {
        let refused = ask(&gateway, path, &ada.access_token, &reservation("more")).await;
        let refused = refused.expect_problem(403, "spend_limit_reached");
        assert_eq!(refused.body["spendLimit"]["used"], 100);
    }
    release(&gateway, &id, "r").await.expect(200);
    ledger.freeze(&ada, "f").await;
    for path in [HOLDS, USE] {
        let refused = ask(&gateway, path, &ada.access_token, &reservation("frozen")).await;
        refused.expect_problem(403, "account_frozen");
    }
    ledger.lift(&ada, "f").await;
    charge(&gateway, &ada, "frozen").await.expect(200);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_hold_whose_service_has_died_lapses_and_nothing_is_charged() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let gateway = scene.gateway().await;
    let ada = ledger.user("ada").await;
    let mut short = reservation("k");
    short["expiresInSeconds"] = json!(60);
    let answer = ask(&gateway, HOLDS, &ada.access_token, &short)
        .await
        .expect(201);
    let id = answer.body["hold"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    ledger.advance(Duration::seconds(59)).await;
    assert_eq!(balance(&ada).await, 140);
    ledger.advance(Duration::seconds(1)).await;
    assert_eq!(balance(&ada).await, 150);
    capture(&gateway, &id, "c", json!({}))
        .await
        .expect_problem(409, "conflict");
    assert_eq!(balance(&ada).await, 150);
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_revoked_service_ends_nothing_and_its_hold_lapses() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let (id, gateway) = scene.service("shop", json!({})).await;
    let ada = ledger.user("ada").await;
    let hold = placed(&gateway, &ada, "k").await;
    let root = ledger.anon().login("root@example.com", json!({})).await;
    root.delete(&format!("{CREDENTIALS}/{id}"))
        .await
        .expect(204);
    for answer in [
        place(&gateway, &ada, "l").await,
        charge(&gateway, &ada, "m").await,
        capture(&gateway, &hold, "n", json!({})).await,
        release(&gateway, &hold, "o").await,
    ] {
        let refused = answer.expect_problem(401, "invalid_token");
        assert_eq!(refused.string("detail"), "unknown_service");
    }
    ledger.advance(Duration::seconds(300)).await;
    assert_eq!(balance(&ada).await, 150);
    scene.ledger.finish().await;
}

/// The names a service's hold or charge could be written under by force, and whether the
/// credential behind each may spend in `shop`.
async fn names(scene: &Scene) -> Vec<(String, bool)> {
    let soon = json!({"expiresAt": "2026-03-01T12:00:30Z"});
    let (standing, _) = scene.service("shop", json!({})).await;
    let (revoked, _) = scene.service("shop", json!({})).await;
    let (expired, _) = scene.service("shop", soon).await;
    let (other, _) = scene.service("other", json!({})).await;
    let (scopeless, _) = scene.service("shop", json!({})).await;
    for (sql, id) in [
        (
            "update auth.service_credentials set revoked_at = auth.clock() where id = $1",
            &revoked,
        ),
        (
            "update auth.service_credentials set scopes = '{other:thing}' where id = $1",
            &scopeless,
        ),
    ] {
        scene.ledger.run(sqlx::query(sql).bind(id)).await;
    }
    scene.ledger.advance(Duration::seconds(30)).await;
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    let named = |id: String, may| (format!("service:{id}"), may);
    let mut names: Vec<_> = [revoked, expired, other, scopeless, unknown]
        .map(|id| named(id, false))
        .into();
    names.push(("service:%".into(), false));
    names.push(named(standing, true));
    names
}

#[tokio::test]
async fn the_issuers_role_cannot_spend_in_the_name_of_a_service_that_may_not() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let ada = ledger.user("ada").await;
    let names = names(&scene).await;
    let mut issuer = ledger.db.as_issuer().await;
    for (number, (name, may)) in names.iter().enumerate() {
        for (sql, rule) in [
            (
                "select (credits.place_hold($1, $2, 1, 'shop', null, 60, $3, null, null, 0, 0)).outcome",
                "holds_service_may_spend",
            ),
            (
                "select (credits.use_credits($1, 1, 'shop', $2, null, $3, 'k', sha256(''), 0, 0)).outcome",
                "entries_service_may_spend",
            ),
        ] {
            let outcome = sqlx::query_scalar::<_, String>(sql)
                .bind(&ada.id)
                .bind(format!("AAAAAAAAAAAAAAAAAAAAA{number}"))
                .bind(name)
                .fetch_one(&mut issuer)
                .await;
            let refused = outcome
                .as_ref()
                .err()
                .and_then(|error| error.as_database_error());
            let refused = refused.and_then(DatabaseError::constraint);
            assert_eq!(refused, (!may).then_some(rule), "{name}: {outcome:?}");
        }
    }
    scene.ledger.finish().await;
}

#[tokio::test]
async fn the_issuers_role_cannot_end_a_hold_in_the_name_of_a_service_that_may_not() {
    let scene = Scene::start().await;
    let ledger = &scene.ledger;
    let ada = ledger.user("ada").await;
    let by_user = ada.post(HOLDS, reservation("own")).await.expect(201);
    let by_user = by_user.body["hold"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let by_service = placed(&scene.gateway().await, &ada, "k").await;
    let elsewhere = held(&ada, 10).await;
    let names = names(&scene).await;
    let mut issuer = ledger.db.as_issuer().await;
    for (name, may) in &names {
        for (hold, is_theirs) in [(&by_service, false), (&elsewhere, false), (&by_user, *may)] {
            let found: Option<String> = sqlx::query_scalar("select credits.find_hold_user($1, $2)")
                .bind(name.strip_prefix("service:"))
                .bind(hold)
                .fetch_one(&mut issuer)
                .await
                .expect("answered");
            assert_eq!(found.is_some(), is_theirs, "{name}");
            let outcome: String = sqlx::query_scalar(
                "select (credits.release_hold($1, $2, $3, $2, sha256(''), 0, 0)).outcome",
            )
            .bind(&ada.id)
            .bind(hold)
            .bind(name)
            .fetch_one(&mut issuer)
            .await
            .expect("answered");
            assert_eq!(outcome == "done", is_theirs, "{name}: {outcome}");
        }
    }
    scene.ledger.finish().await;
}

#[tokio::test]
async fn a_service_is_not_held_to_the_budget_of_a_person() {
    let ledger = Ledger::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let root = ledger.admin("root").await;
    root.post(APPS, json!({"appId": "shop", "name": "x"}))
        .await
        .expect(201);
    let body = json!({"name": "gateway", "appId": "shop", "scopes": ["credits:hold"]});
    let made = root.post(CREDENTIALS, body).await.expect(201);
    let gateway = ledger
        .anon()
        .calling_from("192.0.2.77")
        .with_token(&made.string("secret"));
    for _ in 0..130 {
        release(&gateway, "AAAAAAAAAAAAAAAAAAAAAA", "k")
            .await
            .expect(404);
    }
    // Elsewhere the secret of a service opens nothing, and its form no other budget.
    let mut last = 0;
    for _ in 0..121 {
        last = gateway.post_empty("/api/v1/auth/logout").await.status;
    }
    assert_eq!(last, 429);
    ledger.finish().await;
}
