use serde_json::{Value, json};
use time::Duration;

use super::{REAUTHENTICATE, TOTP, challenge, kinds, n_sessions, show, with_totp};
use crate::support::authenticator::Authenticator;
use crate::support::{Actor, Answer, TestApp};

const PASSKEYS: &str = "/api/v1/auth/passkeys";
const REGISTRATION: &str = "/api/v1/auth/passkeys/registration-options";
const ASK: &str = "/api/v1/auth/passkeys/sign-in/options";
const SIGN_IN: &str = "/api/v1/auth/passkeys/sign-in";
const SECOND_OPTIONS: &str = "/api/v1/auth/login/second-factor/passkey-options";
const AGAIN_OPTIONS: &str = "/api/v1/auth/reauthenticate/passkey-options";

async fn try_register(user: &Actor<'_>, device: &mut Authenticator) -> Answer {
    let asked = user.post_empty(REGISTRATION).await.expect(200);
    let credential = device.create(&asked.body["publicKey"]);
    let body = json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": credential, "name": "Phone"});
    user.post(PASSKEYS, body).await
}

async fn with_passkey<'a>(app: &'a TestApp, name: &str, number: u8) -> (Actor<'a>, Authenticator) {
    let user = app.user(name).await;
    let mut device = Authenticator::new(number);
    try_register(&user, &mut device).await.expect(201);
    (user, device)
}

fn answer(asked: &Answer, device: &mut Authenticator) -> Value {
    let credential = device.get(&asked.body["publicKey"]);
    json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": credential})
}

async fn sign_in(app: &TestApp, device: &mut Authenticator) -> Answer {
    let asked = app.anon().post_empty(ASK).await.expect(200);
    app.anon().post(SIGN_IN, answer(&asked, device)).await
}

#[tokio::test]
async fn a_passkey_signs_in_without_a_name() {
    let app = TestApp::start().await;
    let (ada, mut device) = with_passkey(&app, "ada", 1).await;
    let opened = sign_in(&app, &mut device).await.expect(200);
    assert_eq!(opened.body["user"]["email"], "ada@example.com");
    let phone = ada.signed_in_by(&opened);
    phone.get("/api/v1/auth/me").await.expect(200);
    let methods: Vec<String> = app
        .db
        .value("select methods from auth.sessions order by created_at desc, methods limit 1")
        .await;
    assert_eq!(methods, ["hwk", "user"]);
    let listed = ada.get(PASSKEYS).await.expect(200).body;
    assert_eq!(listed[0]["name"], "Phone");
    assert_eq!(listed[0]["synced"], false);
    assert!(listed[0]["lastUsedAt"].is_string());
    let mails: i64 = app
        .db
        .value("select count(*) from auth.outbox where payload ->> 'template' = 'passkey_added'")
        .await;
    assert_eq!(mails, 1);
}

#[tokio::test]
async fn the_options_ask_for_a_verified_user_and_a_credential_that_is_found_without_a_name() {
    let app = TestApp::start().await;
    let (ada, _) = with_passkey(&app, "ada", 1).await;
    let asked = ada.post_empty(REGISTRATION).await.expect(200).body;
    let options = &asked["publicKey"];
    assert_eq!(options["rp"]["id"], "localhost");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(
        options["authenticatorSelection"]["userVerification"],
        "required"
    );
    assert_eq!(
        options["excludeCredentials"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    let asked = app.anon().post_empty(ASK).await.expect(200).body;
    assert_eq!(asked["publicKey"]["userVerification"], "required");
    assert_eq!(asked["publicKey"]["allowCredentials"], json!([]));
    // What is checked against stays here.
    let text = asked.to_string();
    assert!(
        !text.contains("ada") && asked.as_object().expect("an object").len() == 2,
        "{text}"
    );
}

#[tokio::test]
async fn a_passkey_is_enough_with_two_factor_on_and_serves_after_a_password() {
    let app = TestApp::start().await;
    let (ada, _, _) = with_totp(&app, "ada").await;
    let mut device = Authenticator::new(1);
    try_register(&ada, &mut device).await.expect(201);
    sign_in(&app, &mut device).await.expect(200);
    let open = challenge(&app, "ada").await;
    assert_eq!(
        open.body["methods"],
        json!(["totp", "recovery_code", "passkey"])
    );
    let asked = app
        .anon()
        .post(
            SECOND_OPTIONS,
            json!({"challengeToken": open.body["challengeToken"]}),
        )
        .await
        .expect(200);
    let passkey = answer(&asked, &mut device);
    show(&app, &open, json!({"passkey": passkey}))
        .await
        .expect(200);
    show(&app, &open, json!({"passkey": passkey}))
        .await
        .expect_problem(401, "invalid_credentials");
    let methods: Vec<String> = app
        .db
        .value("select methods from auth.sessions where device_id = 'phone'")
        .await;
    assert_eq!(methods, ["pwd", "hwk", "user"]);
}

#[tokio::test]
async fn an_answer_from_another_origin_is_refused() {
    let app = TestApp::start().await;
    let (ada, mut device) = with_passkey(&app, "ada", 1).await;
    for origin in [
        "http://localhost:3002",
        "https://localhost:3001",
        "http://evil.example",
        "http://x.localhost:3001",
        "null",
    ] {
        device.origin = origin.into();
        sign_in(&app, &mut device)
            .await
            .expect_problem(401, "invalid_credentials");
        let mut other = Authenticator::new(2);
        other.origin = origin.into();
        try_register(&ada, &mut other)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    assert_eq!(n_sessions(&app).await, 1);
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.passkeys")
            .await,
        1
    );
}

#[tokio::test]
async fn an_authenticator_that_did_not_verify_its_user_is_refused() {
    let app = TestApp::start().await;
    let (ada, mut device) = with_passkey(&app, "ada", 1).await;
    device.verifies_user = false;
    sign_in(&app, &mut device)
        .await
        .expect_problem(401, "invalid_credentials");
    let mut other = Authenticator::new(2);
    other.verifies_user = false;
    try_register(&ada, &mut other)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_question_is_answered_once_and_within_five_minutes() {
    let app = TestApp::start().await;
    let (_, mut device) = with_passkey(&app, "ada", 1).await;
    let asked = app.anon().post_empty(ASK).await.expect(200);
    let first = answer(&asked, &mut device);
    app.anon().post(SIGN_IN, first.clone()).await.expect(200);
    app.anon()
        .post(SIGN_IN, first.clone())
        .await
        .expect_problem(401, "invalid_credentials");
    // An old answer to a new question.
    let asked = app.anon().post_empty(ASK).await.expect(200);
    let replayed =
        json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": first["credential"]});
    app.anon()
        .post(SIGN_IN, replayed)
        .await
        .expect_problem(401, "invalid_credentials");
    // It was spent by that.
    let late = answer(&asked, &mut device);
    app.anon()
        .post(SIGN_IN, late)
        .await
        .expect_problem(401, "invalid_credentials");
    let (in_time, too_late) = (
        app.anon().post_empty(ASK).await,
        app.anon().post_empty(ASK).await,
    );
    app.advance(Duration::minutes(5) - Duration::microseconds(1))
        .await;
    app.anon()
        .post(SIGN_IN, answer(&in_time, &mut device))
        .await
        .expect(200);
    app.advance(Duration::microseconds(1)).await;
    app.anon()
        .post(SIGN_IN, answer(&too_late, &mut device))
        .await
        .expect_problem(401, "invalid_credentials");
    issuer::second_factor::sweep(&app.app).await.expect("swept");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.passkey_ceremonies")
            .await,
        0
    );
}

#[tokio::test]
async fn an_answer_counts_for_what_was_asked_and_for_nothing_else() {
    let app = TestApp::start().await;
    let (ada, _, _) = with_totp(&app, "ada").await;
    let mut device = Authenticator::new(1);
    try_register(&ada, &mut device).await.expect(201);
    let open = challenge(&app, "ada").await;
    // Asked for signing in, shown as second factor; asked to sign in again, shown to sign in.
    let asked = app.anon().post_empty(ASK).await.expect(200);
    show(&app, &open, json!({"passkey": answer(&asked, &mut device)}))
        .await
        .expect_problem(401, "invalid_credentials");
    let asked = ada.post_empty(AGAIN_OPTIONS).await.expect(200);
    app.anon()
        .post(SIGN_IN, answer(&asked, &mut device))
        .await
        .expect_problem(401, "invalid_credentials");
    // Asked for another challenge of the same user.
    let other = challenge(&app, "ada").await;
    let token = json!({"challengeToken": other.body["challengeToken"]});
    let asked = app.anon().post(SECOND_OPTIONS, token).await.expect(200);
    show(&app, &open, json!({"passkey": answer(&asked, &mut device)}))
        .await
        .expect_problem(401, "invalid_credentials");
    // A login's token is no ceremony's, and the other way round.
    let mixed = json!({"challengeToken": asked.body["ceremonyToken"]});
    app.anon()
        .post(SECOND_OPTIONS, mixed)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn somebody_elses_passkey_is_refused_everywhere() {
    let app = TestApp::start().await;
    let (ada, mut ada_device) = with_passkey(&app, "ada", 1).await;
    let (bob, _, _) = with_totp(&app, "bob").await;
    let mut bob_device = Authenticator::new(2);
    try_register(&bob, &mut bob_device).await.expect(201);
    let open = challenge(&app, "bob").await;
    let asked = app
        .anon()
        .post(
            SECOND_OPTIONS,
            json!({"challengeToken": open.body["challengeToken"]}),
        )
        .await
        .expect(200);
    show(
        &app,
        &open,
        json!({"passkey": answer(&asked, &mut ada_device)}),
    )
    .await
    .expect_problem(401, "invalid_credentials");
    let asked = bob.post_empty(AGAIN_OPTIONS).await.expect(200);
    let passkey = answer(&asked, &mut ada_device);
    bob.post(REAUTHENTICATE, json!({"passkey": passkey}))
        .await
        .expect_problem(401, "invalid_credentials");
    // The credential of one with the user handle of the other.
    let handle = std::mem::replace(&mut ada_device.user_handle, bob_device.user_handle.clone());
    sign_in(&app, &mut ada_device)
        .await
        .expect_problem(401, "invalid_credentials");
    ada_device.user_handle = handle;
    // A registration that another session began.
    let asked = ada.post_empty(REGISTRATION).await.expect(200);
    let credential = Authenticator::new(3).create(&asked.body["publicKey"]);
    let body = json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": credential, "name": "Mine"});
    bob.post(PASSKEYS, body)
        .await
        .expect_problem(401, "invalid_credentials");
    // One credential belongs to one account.
    let mut copy = Authenticator::new(1);
    try_register(&bob, &mut copy)
        .await
        .expect_problem(409, "conflict");
    sign_in(&app, &mut ada_device).await.expect(200);
}

#[tokio::test]
async fn a_counter_that_does_not_grow_is_a_copy() {
    let app = TestApp::start().await;
    let user = app.user("ada").await;
    let mut device = Authenticator::new(1);
    device.counter = 5;
    try_register(&user, &mut device).await.expect(201);
    sign_in(&app, &mut device).await.expect(200);
    device.counter = 5;
    sign_in(&app, &mut device)
        .await
        .expect_problem(401, "invalid_credentials");
    sign_in(&app, &mut device).await.expect(200);
    assert!(
        kinds(&app)
            .await
            .contains(&"second_factor refused".to_owned())
    );
}

#[tokio::test]
async fn signing_in_again_with_a_passkey_is_enough() {
    let app = TestApp::start().await;
    let (ada, mut device) = with_passkey(&app, "ada", 1).await;
    app.advance(Duration::minutes(10)).await;
    ada.post_empty(REGISTRATION)
        .await
        .expect_problem(403, "reauthentication_required");
    let asked = ada.post_empty(AGAIN_OPTIONS).await.expect(200);
    let passkey = answer(&asked, &mut device);
    ada.post(REAUTHENTICATE, json!({"passkey": passkey}))
        .await
        .expect(200);
    ada.post_empty(TOTP).await.expect(200);
    let bob = app.user("bob").await;
    bob.post_empty(AGAIN_OPTIONS)
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn passkeys_are_renamed_and_removed_by_their_owner_only() {
    let app = TestApp::start().await;
    let (ada, mut device) = with_passkey(&app, "ada", 1).await;
    let bob = app.user("bob").await;
    let listed = ada.get(PASSKEYS).await.expect(200).body;
    let path = format!("{PASSKEYS}/{}", listed[0]["id"].as_str().expect("an id"));
    let absent = format!("{PASSKEYS}/AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(bob.get(PASSKEYS).await.expect(200).body, json!([]));
    let theirs = bob
        .patch(&path, json!({"name": "Mine"}))
        .await
        .expect_problem(404, "not_found");
    let nobodys = bob
        .patch(&absent, json!({"name": "Mine"}))
        .await
        .expect_problem(404, "not_found");
    assert_eq!(theirs.body, nobodys.body);
    bob.delete(&path).await.expect_problem(404, "not_found");
    ada.patch(&path, json!({"name": ""}))
        .await
        .expect_invalid(&["name"]);
    ada.patch(&path, json!({"name": "Old phone"}))
        .await
        .expect(204);
    assert_eq!(
        ada.get(PASSKEYS).await.expect(200).body[0]["name"],
        "Old phone"
    );
    ada.delete(&path).await.expect(204);
    ada.delete(&path).await.expect_problem(404, "not_found");
    sign_in(&app, &mut device)
        .await
        .expect_problem(401, "invalid_credentials");
    let kinds = kinds(&app).await;
    for kind in [
        "passkey_added success",
        "passkey_renamed success",
        "passkey_removed success",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "{kind}");
    }
}

#[tokio::test]
async fn removing_a_passkey_needs_a_recent_sign_in_and_everything_a_session() {
    let app = TestApp::start().await;
    let (ada, _) = with_passkey(&app, "ada", 1).await;
    let id = app.db.value::<String>("select id from auth.passkeys").await;
    let path = format!("{PASSKEYS}/{id}");
    for answer in [
        app.anon().get(PASSKEYS).await,
        app.anon().delete(&path).await,
        app.anon().patch(&path, json!({"name": "x"})).await,
        app.anon().post_empty(REGISTRATION).await,
        app.anon().post_empty(AGAIN_OPTIONS).await,
    ] {
        answer.expect_problem(401, "missing_token");
    }
    app.advance(Duration::minutes(10)).await;
    ada.delete(&path)
        .await
        .expect_problem(403, "reauthentication_required");
    let second = app.second(&[]).await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    let ada = ada.at(&second);
    ada.get(PASSKEYS)
        .await
        .expect_problem(401, "session_revoked");
    ada.delete(&path)
        .await
        .expect_problem(401, "session_revoked");
    ada.patch(&path, json!({"name": "x"}))
        .await
        .expect_problem(401, "session_revoked");
    ada.post_empty(REGISTRATION)
        .await
        .expect_problem(401, "session_revoked");
    ada.post_empty(AGAIN_OPTIONS)
        .await
        .expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn twenty_passkeys_are_enough() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    for number in 1..=20 {
        try_register(&ada, &mut Authenticator::new(number))
            .await
            .expect(201);
    }
    try_register(&ada, &mut Authenticator::new(21))
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn a_banned_users_passkey_is_refused() {
    let app = TestApp::start().await;
    let (_, mut device) = with_passkey(&app, "ada", 1).await;
    app.db
        .value::<String>("update auth.users set status = 'banned' returning id")
        .await;
    sign_in(&app, &mut device)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn garbage_in_place_of_a_credential_is_refused() {
    let app = TestApp::start().await;
    let (ada, _) = with_passkey(&app, "ada", 1).await;
    for credential in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"id": 1}),
        Value::Null,
    ] {
        let asked = app.anon().post_empty(ASK).await.expect(200);
        let body = json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": credential});
        let status = app.anon().post(SIGN_IN, body).await.status;
        assert!(matches!(status, 401 | 422), "{credential}: {status}");
        let asked = ada.post_empty(REGISTRATION).await.expect(200);
        let body = json!({"ceremonyToken": asked.body["ceremonyToken"], "credential": credential, "name": "x"});
        let status = ada.post(PASSKEYS, body).await.status;
        assert!(matches!(status, 401 | 422), "{credential}: {status}");
    }
}

#[tokio::test]
async fn an_issuer_at_an_address_has_no_passkeys() {
    let app = TestApp::start_with(&[("BASE_URL", "https://192.0.2.1")]).await;
    app.anon()
        .post_empty(ASK)
        .await
        .expect_problem(404, "not_found");
    let ada = app.user("ada").await;
    ada.post_empty(REGISTRATION)
        .await
        .expect_problem(404, "not_found");
}
