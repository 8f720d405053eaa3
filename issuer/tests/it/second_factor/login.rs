use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use super::{AuthenticatorApp, SECOND, TOTP, challenge, kinds, n_sessions, show, with_totp};
use crate::support::TestApp;

#[tokio::test]
async fn with_two_factor_on_the_password_opens_no_session() {
    let app = TestApp::start().await;
    with_totp(&app, "ada").await;
    let asked = challenge(&app, "ada").await;
    assert_eq!(asked.body["twoFactorRequired"], true);
    assert_eq!(asked.body["methods"], json!(["totp", "recovery_code"]));
    assert!(asked.body["accessToken"].is_null() && asked.body["user"].is_null());
    assert_eq!(n_sessions(&app).await, 1);
    let wrong = json!({"email": "ada@example.com", "password": "wrong password"});
    app.anon()
        .post(super::LOGIN, wrong)
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_code_opens_the_session_that_the_password_asked_for() {
    let app = TestApp::start().await;
    let (ada, device, _) = with_totp(&app, "ada").await;
    app.advance(Duration::seconds(30)).await;
    let asked = challenge(&app, "ada").await;
    let opened = show(&app, &asked, json!({"code": device.code(&app, 0)}))
        .await
        .expect(200);
    let phone = ada.signed_in_by(&opened);
    phone.get("/api/v1/auth/me").await.expect(200);
    phone.refresh(&phone.refresh_token).await.expect(200);
    let methods: Vec<String> = app
        .db
        .value("select methods from auth.sessions where device_id = 'phone'")
        .await;
    assert_eq!(methods, ["pwd", "otp"]);
}

#[tokio::test]
async fn a_code_is_accepted_once_and_earlier_ones_never_after_it() {
    let app = TestApp::start().await;
    let (_, device, _) = with_totp(&app, "ada").await;
    // The step in which two-factor was switched on is used up.
    let asked = challenge(&app, "ada").await;
    show(&app, &asked, json!({"code": device.code(&app, 0)}))
        .await
        .expect_problem(401, "invalid_credentials");
    // One step ahead of the clock is within the window.
    let ahead = device.code(&app, 1);
    show(&app, &asked, json!({"code": ahead})).await.expect(200);
    let asked = challenge(&app, "ada").await;
    show(&app, &asked, json!({"code": ahead}))
        .await
        .expect_problem(401, "invalid_credentials");
    app.advance(Duration::seconds(30)).await;
    show(&app, &asked, json!({"code": ahead}))
        .await
        .expect_problem(401, "invalid_credentials");
    show(&app, &asked, json!({"code": device.code(&app, -1)}))
        .await
        .expect_problem(401, "invalid_credentials");
    show(&app, &asked, json!({"code": device.code(&app, 1)}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_code_two_steps_away_is_refused() {
    let app = TestApp::start().await;
    let (_, device, _) = with_totp(&app, "ada").await;
    app.advance(Duration::minutes(5)).await;
    let asked = challenge(&app, "ada").await;
    for steps in [-2, 2] {
        let far = json!({"code": device.code(&app, steps)});
        show(&app, &asked, far)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    show(&app, &asked, json!({"code": device.code(&app, -1)}))
        .await
        .expect(200);
}

#[tokio::test]
async fn one_code_shown_by_many_at_once_opens_one_session() {
    let app = TestApp::start().await;
    let (_, device, _) = with_totp(&app, "ada").await;
    app.advance(Duration::seconds(30)).await;
    let code = device.code(&app, 0);
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(challenge(&app, "ada").await);
    }
    let shown = open
        .iter()
        .map(|asked| show(&app, asked, json!({"code": code})));
    let opened = join_all(shown)
        .await
        .iter()
        .filter(|answer| answer.status == 200)
        .count();
    assert_eq!(opened, 1);
    assert_eq!(n_sessions(&app).await, 2);
}

#[tokio::test]
async fn one_challenge_opens_one_session() {
    let app = TestApp::start().await;
    let (_, _, codes) = with_totp(&app, "ada").await;
    let asked = challenge(&app, "ada").await;
    let shown = codes
        .iter()
        .take(5)
        .map(|code| show(&app, &asked, json!({"recoveryCode": code})));
    let opened = join_all(shown)
        .await
        .iter()
        .filter(|answer| answer.status == 200)
        .count();
    assert_eq!(opened, 1);
    show(&app, &asked, json!({"recoveryCode": codes[5]}))
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_recovery_code_works_once_and_is_told_to_its_owner() {
    let app = TestApp::start().await;
    let (ada, _, codes) = with_totp(&app, "ada").await;
    let asked = challenge(&app, "ada").await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    show(&app, &asked, json!({"recoveryCode": typed}))
        .await
        .expect(200);
    let asked = challenge(&app, "ada").await;
    show(&app, &asked, json!({"recoveryCode": codes[3]}))
        .await
        .expect_problem(401, "invalid_credentials");
    let state = ada.get(super::STATE).await.expect(200);
    assert_eq!(state.body["recoveryCodesLeft"], 9);
    assert!(
        kinds(&app)
            .await
            .contains(&"recovery_code_used success".to_owned())
    );
    let told: i64 = app
        .db
        .value("select count(*) from auth.outbox where payload ->> 'change' = 'recovery_code_used'")
        .await;
    assert_eq!(told, 1);
}

#[tokio::test]
async fn somebody_elses_codes_are_wrong() {
    let app = TestApp::start().await;
    let (_, ada, ada_codes) = with_totp(&app, "ada").await;
    with_totp(&app, "bob").await;
    app.advance(Duration::seconds(30)).await;
    let asked = challenge(&app, "bob").await;
    show(&app, &asked, json!({"code": ada.code(&app, 0)}))
        .await
        .expect_problem(401, "invalid_credentials");
    show(&app, &asked, json!({"recoveryCode": ada_codes[0]}))
        .await
        .expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_challenge_takes_five_attempts() {
    let app = TestApp::start().await;
    let (_, device, _) = with_totp(&app, "ada").await;
    app.advance(Duration::seconds(30)).await;
    let (asked, other) = (challenge(&app, "ada").await, challenge(&app, "ada").await);
    for _ in 0..5 {
        let wrong = json!({"code": device.wrong_code(&app)});
        show(&app, &asked, wrong)
            .await
            .expect_problem(401, "invalid_credentials");
    }
    let right = json!({"code": device.code(&app, 0)});
    show(&app, &asked, right.clone())
        .await
        .expect_problem(401, "invalid_credentials");
    show(&app, &other, right).await.expect(200);
}

#[tokio::test]
async fn a_challenge_lives_five_minutes() {
    let app = TestApp::start().await;
    let (_, _, codes) = with_totp(&app, "ada").await;
    let (first, second) = (challenge(&app, "ada").await, challenge(&app, "ada").await);
    app.advance(Duration::minutes(5) - Duration::microseconds(1))
        .await;
    show(&app, &first, json!({"recoveryCode": codes[0]}))
        .await
        .expect(200);
    app.advance(Duration::microseconds(1)).await;
    show(&app, &second, json!({"recoveryCode": codes[1]}))
        .await
        .expect_problem(401, "invalid_credentials");
    issuer::second_factor::sweep(&app.app).await.expect("swept");
    assert_eq!(
        app.db
            .value::<i64>("select count(*) from auth.login_challenges")
            .await,
        0
    );
}

#[tokio::test]
async fn a_challenge_is_over_when_the_credentials_changed_meanwhile() {
    let app = TestApp::start().await;
    let (_, _, codes) = with_totp(&app, "ada").await;
    let asked = challenge(&app, "ada").await;
    app.db.value::<String>("update auth.users set password_set_at = password_set_at + interval '1 second' returning id").await;
    show(&app, &asked, json!({"recoveryCode": codes[0]}))
        .await
        .expect_problem(401, "invalid_credentials");
    assert_eq!(n_sessions(&app).await, 1);
}

#[tokio::test]
async fn a_banned_user_does_not_get_in_with_a_challenge_from_before() {
    let app = TestApp::start().await;
    let (_, _, codes) = with_totp(&app, "ada").await;
    let asked = challenge(&app, "ada").await;
    app.db
        .value::<String>("update auth.users set status = 'banned' returning id")
        .await;
    show(&app, &asked, json!({"recoveryCode": codes[0]}))
        .await
        .expect_problem(401, "invalid_credentials");
    assert_eq!(n_sessions(&app).await, 1);
}

#[tokio::test]
async fn guesses_over_many_challenges_are_limited_and_a_recovery_code_still_works() {
    let app = TestApp::start().await;
    let (_, device, codes) = with_totp(&app, "ada").await;
    app.advance(Duration::seconds(30)).await;
    let mut asked = challenge(&app, "ada").await;
    for i in 0..20 {
        if i % 5 == 0 {
            asked = challenge(&app, "ada").await;
        }
        show(&app, &asked, json!({"code": device.wrong_code(&app)}))
            .await
            .expect_problem(401, "invalid_credentials");
    }
    let asked = challenge(&app, "ada").await;
    let limited = show(&app, &asked, json!({"code": device.code(&app, 0)}))
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "3600");
    show(&app, &asked, json!({"recoveryCode": codes[0]}))
        .await
        .expect(200);
    app.advance(Duration::hours(1) - Duration::microseconds(1))
        .await;
    let asked = challenge(&app, "ada").await;
    show(&app, &asked, json!({"code": device.code(&app, 0)}))
        .await
        .expect_problem(429, "rate_limited");
    app.advance(Duration::microseconds(1)).await;
    show(&app, &asked, json!({"code": device.code(&app, 0)}))
        .await
        .expect(200);
    let refused = kinds(&app)
        .await
        .iter()
        .filter(|kind| *kind == "second_factor refused")
        .count();
    assert_eq!(refused, 20);
}

#[tokio::test]
async fn garbage_for_a_challenge_is_refused_without_the_database() {
    let app = TestApp::start().await;
    app.app.db.close().await;
    for token in [
        "",
        "tgc_",
        "garbage",
        "tgc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let body = json!({"challengeToken": token, "code": "123456"});
        app.anon()
            .post(SECOND, body)
            .await
            .expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn exactly_one_factor_is_shown() {
    let app = TestApp::start().await;
    let token = "x";
    let path = SECOND;
    app.anon()
        .post(path, json!({"challengeToken": token}))
        .await
        .expect_invalid(&[""]);
    let two = json!({"challengeToken": token, "code": "1", "recoveryCode": "2"});
    app.anon().post(path, two).await.expect_invalid(&[""]);
    app.anon()
        .post(path, json!({"code": "1"}))
        .await
        .expect_invalid(&["challengeToken"]);
    app.anon()
        .post(path, json!({"challengeToken": token, "cod": "1"}))
        .await
        .expect_invalid(&["cod"]);
}

#[tokio::test]
async fn second_factors_are_limited_by_address() {
    let app = TestApp::start_with(&[("RATE_LIMIT_SCALE", "1")]).await;
    let body = json!({"challengeToken": "x", "code": "1"});
    for _ in 0..20 {
        app.anon().post(SECOND, body.clone()).await.expect(401);
    }
    app.anon()
        .post(SECOND, body)
        .await
        .expect_problem(429, "rate_limited");
}

#[tokio::test]
async fn a_second_setup_makes_other_codes() {
    let app = TestApp::start().await;
    let (ada, first, _) = with_totp(&app, "ada").await;
    ada.delete(TOTP).await.expect(204);
    let second = AuthenticatorApp(ada.post_empty(TOTP).await.expect(200).string("secret"));
    assert_ne!(first.0, second.0);
}
