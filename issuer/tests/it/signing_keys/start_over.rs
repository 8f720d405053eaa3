use issuer::admin::{Act, operator};
use issuer::db::{become_owner, connect, n_issuer_connections};
use issuer::secret::MasterKey;
use issuer::signing_keys::{StartOverError, StartedOver, start_over};
use serde_json::json;
use sqlx::PgConnection;

use crate::second_factor::{LOGIN, show, with_totp};
use crate::support::app::PASSWORD;
use crate::support::{Actor, TestApp};

fn key(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

async fn owner(app: &TestApp) -> PgConnection {
    let mut connection = connect(&app.db.owner_url).await.expect("it answers");
    become_owner(&mut connection).await.expect("a superuser");
    connection
}

/// Lets go of the database, as an issuer that was stopped has.
async fn stop(app: &TestApp, owner: &mut PgConnection) {
    app.app.db.close().await;
    // The server notices that a client has gone a moment later.
    while n_issuer_connections(owner).await.expect("it answers") > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn lost_master_key_is_replaced_and_people_sign_in_again() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let (bob, _, codes) = with_totp(&app, "bob").await;
    let mut owner = owner(&app).await;
    stop(&app, &mut owner).await;
    let done = start_over(&mut owner, &key(8)).await.expect("started over");
    let expected = StartedOver {
        version: 2,
        keys_removed: 4,
        sessions_ended: 2,
    };
    assert_eq!(done, expected);
    app.advance(time::Duration::seconds(1)).await;

    let new = app.second(&[("MASTER_KEY", &key(8).to_base64())]).await;
    new.publish().await;
    let body = json!({"token": ada.access_token});
    let validated = new.anon().post("/api/v1/auth/validate", body).await;
    assert_eq!(validated.expect(200).body["valid"], false);
    let refreshed = new.anon().refresh(&ada.refresh_token).await;
    refreshed.expect_problem(401, "invalid_refresh_token");
    let ada = Actor::anon(&new).login("ada@example.com", json!({})).await;
    ada.get("/api/v1/auth/me").await.expect(200);
    // The authenticator app is of no use any more; a recovery code is, and so is the operator.
    let open = async || {
        let body = json!({"email": bob.email, "password": PASSWORD});
        new.anon().post(LOGIN, body).await.expect(200)
    };
    let challenge = open().await;
    show(&new, &challenge, json!({"recoveryCode": codes[0]}))
        .await
        .expect(200);
    operator::act(&mut owner, &bob.id, &Act::ResetTwoFactor)
        .await
        .expect("taken off");
    Actor::anon(&new).login("bob@example.com", json!({})).await;
    let n_noted: i64 = app
        .db
        .value("select count(*) from auth.security_events where kind = 'master_key_replaced'")
        .await;
    assert_eq!(n_noted, 1);
}

#[tokio::test]
async fn nothing_is_given_up_while_an_issuer_runs_or_the_key_fits() {
    let app = TestApp::start().await;
    let ada = app.user("ada").await;
    let mut owner = owner(&app).await;
    let refused = start_over(&mut owner, &key(8)).await;
    assert!(
        matches!(refused, Err(StartOverError::IssuersRun(1..))),
        "{refused:?}"
    );
    ada.get("/api/v1/auth/me").await.expect(200);
    stop(&app, &mut owner).await;
    let refused = start_over(&mut owner, &key(7)).await;
    assert!(matches!(refused, Err(StartOverError::Fits)), "{refused:?}");
    let again = app.second(&[]).await;
    ada.at(&again).get("/api/v1/auth/me").await.expect(200);
}

#[tokio::test]
async fn second_factor_is_taken_off_by_the_operator_alone_and_signs_out() {
    let app = TestApp::start().await;
    let (ada, _, _) = with_totp(&app, "ada").await;
    let mut owner = owner(&app).await;
    operator::act(&mut owner, &ada.id, &Act::ResetTwoFactor)
        .await
        .expect("taken off");
    app.anon()
        .refresh(&ada.refresh_token)
        .await
        .expect_problem(401, "session_revoked");
    app.anon().login("ada@example.com", json!({})).await;
    let again = operator::act(&mut owner, &ada.id, &Act::ResetTwoFactor).await;
    assert!(again.is_err(), "there is none any more");
    let mut issuer = app.db.as_issuer().await;
    let refused = operator::act(&mut issuer, &ada.id, &Act::ResetTwoFactor).await;
    assert!(refused.is_err());
}
