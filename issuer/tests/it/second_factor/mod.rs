mod login;
mod passkeys;
mod reauthenticate;
mod totp;

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::support::app::PASSWORD;
use crate::support::{Actor, Answer, TestApp};

pub const LOGIN: &str = "/api/v1/auth/login";
pub const SECOND: &str = "/api/v1/auth/login/second-factor";
pub const TOTP: &str = "/api/v1/auth/two-factor/totp";
pub const CONFIRM: &str = "/api/v1/auth/two-factor/totp/confirm";
pub const STATE: &str = "/api/v1/auth/two-factor";
pub const REAUTHENTICATE: &str = "/api/v1/auth/reauthenticate";

/// What an authenticator app holds.
pub struct AuthenticatorApp(pub String);

impl AuthenticatorApp {
    /// The code of the present step, or of one so many steps away.
    pub fn code(&self, app: &TestApp, steps_away: i64) -> String {
        let secret = Secret::try_from_base32(&self.0).expect("base32");
        let totp = Builder::new().with_secret(secret).build().expect("valid");
        let at = app.app.clock.now().unix_timestamp() + steps_away * 30;
        totp.generate(at.try_into().expect("after 1970"))
            .to_string()
    }

    /// A code that is right at no time near.
    pub fn wrong_code(&self, app: &TestApp) -> String {
        let near: Vec<String> = (-2..=2).map(|steps| self.code(app, steps)).collect();
        let wrong = (0..10).map(|digit| format!("{digit}00000"));
        wrong
            .into_iter()
            .find(|code| !near.contains(code))
            .expect("ten are more than five")
    }
}

/// A user with two-factor on: who they are, their authenticator app, their recovery codes. The
/// step of the present moment is used up.
pub async fn with_totp<'a>(
    app: &'a TestApp,
    name: &str,
) -> (Actor<'a>, AuthenticatorApp, Vec<String>) {
    let user = app.user(name).await;
    let begun = user.post_empty(TOTP).await.expect(200);
    let device = AuthenticatorApp(begun.string("secret"));
    let confirmed = user
        .post(CONFIRM, json!({"code": device.code(app, 0)}))
        .await
        .expect(200);
    let codes = confirmed.body["recoveryCodes"].as_array().expect("codes");
    let codes = codes
        .iter()
        .map(|code| code.as_str().expect("text").to_owned())
        .collect();
    (user, device, codes)
}

/// The challenge after the right password.
pub async fn challenge(app: &TestApp, name: &str) -> Answer {
    let email = format!("{name}@example.com");
    app.anon()
        .post(
            LOGIN,
            json!({"email": email, "password": PASSWORD, "deviceId": "phone"}),
        )
        .await
        .expect(200)
}

/// Shows a second factor.
pub async fn show(app: &TestApp, challenge: &Answer, factor: Value) -> Answer {
    let mut body = factor;
    body["challengeToken"] = challenge.body["challengeToken"].clone();
    app.anon().post(SECOND, body).await
}

pub async fn n_sessions(app: &TestApp) -> i64 {
    app.db.value("select count(*) from auth.sessions").await
}

pub async fn kinds(app: &TestApp) -> Vec<String> {
    app.db
        .value("select array_agg(kind || ' ' || outcome order by id) from auth.security_events")
        .await
}
