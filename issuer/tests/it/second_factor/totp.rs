use serde_json::json;
use time::Duration;

use super::{AuthenticatorApp, CONFIRM, LOGIN, STATE, TOTP, challenge, kinds, show, with_totp};
use crate::support::TestApp;
use crate::support::app::PASSWORD;

const CODES: &str = "/api/v1/auth/two-factor/recovery-codes";

#[tokio::test]
async fn confirming_a_code_switches_two_factor_on_and_gives_ten_recovery_codes() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let before = ada.get(STATE).await.expect(200).body;
    assert_eq!(
        before,
        json!({"enabled": false, "totp": false, "recoveryCodesLeft": 0, "passkeys": 0})
    );
    let begun = ada.post_empty(TOTP).await.expect(200);
    assert!(begun.string("otpauthUrl").starts_with("otpauth://totp/"));
    assert!(begun.string("qrSvg").contains("<svg"));
    assert_eq!(begun.header("cache-control"), "no-store");
    let device = AuthenticatorApp(begun.string("secret"));
    let confirmed = ada
        .post(CONFIRM, json!({"code": device.code(&app, 0)}))
        .await
        .expect(200);
    let codes = confirmed.body["recoveryCodes"]
        .as_array()
        .expect("codes")
        .clone();
    assert_eq!(codes.len(), 10);
    let after = ada.get(STATE).await.expect(200).body;
    assert_eq!(
        after,
        json!({"enabled": true, "totp": true, "recoveryCodesLeft": 10, "passkeys": 0})
    );
    assert!(
        kinds(&app)
            .await
            .contains(&"two_factor_enabled success".to_owned())
    );
    let mails: i64 = app
        .db
        .value(
            "select count(*) from auth.outbox where payload ->> 'template' = 'two_factor_changed'",
        )
        .await;
    assert_eq!(mails, 1);
    // Neither secret nor codes can be read from the database.
    let stored: String = app.db.value(
        "select (select jsonb_agg(t) from auth.totp_secrets t)::text || (select jsonb_agg(c) from auth.recovery_codes c)::text \
         || (select jsonb_agg(o) from auth.outbox o)::text || (select jsonb_agg(d) from auth.security_event_details d)::text").await;
    for code in &codes {
        let code = code.as_str().expect("text");
        assert!(!stored.contains(code) && !stored.contains(&code.replace('-', "")));
    }
    assert!(!stored.contains(&device.0));
}

#[tokio::test]
async fn a_secret_that_was_not_confirmed_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let begun = ada.post_empty(TOTP).await.expect(200);
    let device = AuthenticatorApp(begun.string("secret"));
    ada.post(CONFIRM, json!({"code": device.wrong_code(&app)}))
        .await
        .expect_problem(401, "invalid_credentials");
    app.anon().login("ada@example.com", json!({})).await;
    assert!(
        kinds(&app)
            .await
            .contains(&"second_factor refused".to_owned())
    );
    // Beginning again takes the place of the first secret.
    let again = AuthenticatorApp(ada.post_empty(TOTP).await.expect(200).string("secret"));
    ada.post(CONFIRM, json!({"code": device.code(&app, 0)}))
        .await
        .expect_problem(401, "invalid_credentials");
    ada.post(CONFIRM, json!({"code": again.code(&app, 0)}))
        .await
        .expect(200);
    ada.post_empty(TOTP).await.expect_problem(409, "conflict");
    ada.post(CONFIRM, json!({"code": again.code(&app, 0)}))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn every_change_needs_a_sign_in_within_ten_minutes_and_a_live_session() {
    let app = TestApp::start().await;
    let (ada, _, _) = with_totp(&app, "ada").await;
    let bob = app.user("bob").await;
    let begun = bob.post_empty(TOTP).await.expect(200);
    let device = AuthenticatorApp(begun.string("secret"));
    app.advance(Duration::minutes(10) - Duration::microseconds(1))
        .await;
    ada.post_empty(CODES).await.expect(200);
    app.advance(Duration::microseconds(1)).await;
    for answer in [
        ada.post_empty(CODES).await,
        ada.delete(TOTP).await,
        bob.post_empty(TOTP).await,
        bob.post(CONFIRM, json!({"code": device.code(&app, 0)}))
            .await,
    ] {
        answer.expect_problem(403, "reauthentication_required");
    }
    ada.get(STATE).await.expect(200);
    // Another issuer knows of the end of a session only from the database.
    let second = app.second(&[]).await;
    ada.post_empty("/api/v1/auth/logout").await.expect(200);
    let ada = ada.at(&second);
    ada.post_empty(CODES)
        .await
        .expect_problem(401, "session_revoked");
    ada.delete(TOTP)
        .await
        .expect_problem(401, "session_revoked");
    ada.get(STATE).await.expect_problem(401, "session_revoked");
    for answer in [
        app.anon().post_empty(TOTP).await,
        app.anon().post(CONFIRM, json!({"code": "000000"})).await,
        app.anon().delete(TOTP).await,
        app.anon().post_empty(CODES).await,
        app.anon().get(STATE).await,
    ] {
        answer.expect_problem(401, "missing_token");
    }
}

#[tokio::test]
async fn switching_off_forgets_secret_and_recovery_codes() {
    let app = TestApp::start().await;
    let (ada, _, codes) = with_totp(&app, "ada").await;
    let open = challenge(&app, "ada").await;
    ada.delete(TOTP).await.expect(204);
    app.anon().login("ada@example.com", json!({})).await;
    // What was asked for before is over, the codes are gone.
    show(&app, &open, json!({"recoveryCode": codes[0]}))
        .await
        .expect_problem(401, "invalid_credentials");
    ada.delete(TOTP).await.expect_problem(404, "not_found");
    ada.post_empty(CODES).await.expect_problem(404, "not_found");
    assert!(
        kinds(&app)
            .await
            .contains(&"two_factor_disabled success".to_owned())
    );
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.recovery_codes")
            .await,
        0
    );
}

#[tokio::test]
async fn new_recovery_codes_take_the_place_of_the_old() {
    let app = TestApp::start().await;
    let (ada, _, old) = with_totp(&app, "ada").await;
    let new = ada.post_empty(CODES).await.expect(200).body["recoveryCodes"].clone();
    assert_eq!(new.as_array().expect("codes").len(), 10);
    let open = challenge(&app, "ada").await;
    show(&app, &open, json!({"recoveryCode": old[0]}))
        .await
        .expect_problem(401, "invalid_credentials");
    show(&app, &open, json!({"recoveryCode": new[0]}))
        .await
        .expect(200);
}

#[tokio::test]
async fn secrets_are_sealed_again_under_a_new_master_key() {
    let app = TestApp::start().await;
    let (_, device, _) = with_totp(&app, "ada").await;
    let key = |byte: u8| {
        issuer::secret::MasterKey::from_bytes([byte; 32])
            .to_base64()
            .to_string()
    };
    let (new, old) = (key(8), key(7));
    let both = app
        .second(&[("MASTER_KEY", &new), ("MASTER_KEY_PREVIOUS", &old)])
        .await;
    issuer::second_factor::reseal(&both.app)
        .await
        .expect("sealed again");
    let version: i32 = app
        .db
        .value("select master_key_version from auth.totp_secrets")
        .await;
    assert_eq!(version, 2);
    both.advance(Duration::seconds(30)).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let open = both.anon().post(LOGIN, body).await.expect(200);
    show(&both, &open, json!({"code": device.code(&both, 0)}))
        .await
        .expect(200);
}

#[tokio::test]
async fn malformed_codes_are_refused_by_form() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    ada.post(CONFIRM, json!({})).await.expect_invalid(&["code"]);
    ada.post(CONFIRM, json!({"code": 123_456}))
        .await
        .expect_invalid(&["code"]);
    ada.post(CONFIRM, json!({"code": "123456", "more": 1}))
        .await
        .expect_invalid(&["more"]);
    ada.post(CONFIRM, json!({"code": "1".repeat(17)}))
        .await
        .expect_invalid(&["code"]);
}
