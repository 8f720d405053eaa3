//! What the table's owner does to the trail is found (acceptance 9).

use issuer::audit;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use time::Duration;

use crate::support::TestApp;

/// A chain of a few events with a checkpoint at its end.
async fn sealed() -> TestApp {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.user("bob").await;
    let n = audit::seal(&app.app).await.expect("sealed");
    assert!(n >= 4, "{n} events");
    app
}

async fn verify(app: &TestApp) -> Value {
    serde_json::to_value(audit::verify(&app.app, None).await.expect("verified")).expect("JSON")
}

/// As somebody who may do anything to the tables, triggers and foreign keys aside.
async fn tamper(app: &TestApp, sql: &'static str) {
    let mut owner = app.db.owner.acquire().await.expect("a connection");
    let mut tx = owner.begin().await.expect("begun");
    tx.execute("set local session_replication_role = replica")
        .await
        .expect("a superuser may");
    let done = tx.execute(AssertSqlSafe(sql)).await.expect(sql);
    assert!(done.rows_affected() > 0, "{sql} changed nothing");
    tx.commit().await.expect("committed");
}

/// Seals until the sealer need not read the whole trail each second; other tests share the server
/// and their transactions, some of which take seconds, are waited for too.
async fn raise_low(app: &TestApp) {
    for _ in 0..6_000 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        app.advance(Duration::seconds(11)).await;
        audit::seal(&app.app).await.expect("sealed");
        let low: i64 = app.db.value("select low_id from auth.audit_progress").await;
        if low > 0 {
            return;
        }
    }
    panic!("the sealer reads the whole trail each second");
}

#[tokio::test]
async fn an_untouched_trail_verifies_to_its_end() {
    let app = sealed().await;
    let events: i64 = app
        .db
        .value("select count(*) from auth.security_events")
        .await;
    let found = verify(&app).await;
    assert_eq!(
        found,
        json!({"verified": events, "erased": 0, "checkpoints": 1, "unsealed": 0, "fault": null})
    );
}

#[tokio::test]
async fn sealing_twice_seals_nothing_twice_and_goes_on_with_what_is_new() {
    let app = sealed().await;
    assert_eq!(audit::seal(&app.app).await.expect("sealed"), 0);
    app.user("eve").await;
    assert_eq!(verify(&app).await["unsealed"], 2);
    assert_eq!(audit::seal(&app.app).await.expect("sealed"), 2);
    assert_eq!(verify(&app).await["fault"], Value::Null);
}

#[tokio::test]
async fn every_edit_by_the_tables_owner_is_found_and_named() {
    let edits: [(&'static str, Value); 9] = [
        (
            "update auth.security_events set kind = 'logout' where id = 2",
            json!({"seq": 2, "eventId": 2, "kind": "changed"}),
        ),
        (
            "update auth.security_events set occurred_at = occurred_at - interval '1 microsecond' where id = 3",
            json!({"seq": 3, "eventId": 3, "kind": "changed"}),
        ),
        (
            "update auth.security_events set user_id = null where id = 1",
            json!({"seq": 1, "eventId": 1, "kind": "changed"}),
        ),
        (
            "delete from auth.security_events where id = 2",
            json!({"seq": 2, "eventId": 2, "kind": "deleted"}),
        ),
        (
            "delete from auth.security_event_seals where seq = 2",
            json!({"seq": 2, "eventId": null, "kind": "seal_deleted"}),
        ),
        (
            "update auth.security_event_seals set mac = sha256('') where seq = 3",
            json!({"seq": 3, "eventId": 3, "kind": "changed"}),
        ),
        (
            "update auth.security_event_details set data = '{\"forged\": true}' where event_id = 2",
            json!({"seq": 2, "eventId": 2, "kind": "details_changed"}),
        ),
        (
            "update auth.security_event_details set ip_address = '198.51.100.1' where event_id = 1",
            json!({"seq": 1, "eventId": 1, "kind": "details_changed"}),
        ),
        (
            "update auth.audit_checkpoints set signed_at = signed_at + interval '1 day'",
            json!({"seq": 4, "eventId": null, "kind": "checkpoint_forged"}),
        ),
    ];
    for (sql, fault) in edits {
        let app = sealed().await;
        tamper(&app, sql).await;
        assert_eq!(verify(&app).await["fault"], fault, "{sql}");
    }
}

#[tokio::test]
async fn cutting_the_end_off_is_found_by_the_last_checkpoint() {
    let app = sealed().await;
    tamper(&app, "delete from auth.security_event_seals where seq > 2").await;
    tamper(&app, "delete from auth.security_events where id > 2").await;
    let found = verify(&app).await;
    assert_eq!(
        found["fault"],
        json!({"seq": 4, "eventId": null, "kind": "cut_off"})
    );
}

#[tokio::test]
async fn cutting_off_the_checkpoints_too_is_found_by_the_file_kept_elsewhere() {
    let file = std::env::temp_dir().join(format!("tollgate-checkpoints-{}", std::process::id()));
    let path = file.to_str().expect("UTF-8").to_owned();
    let app = TestApp::start_with(&[("AUDIT_CHECKPOINT_FILE", &path)]).await;
    app.user("ada").await;
    audit::seal(&app.app).await.expect("sealed");
    let kept = std::fs::read_to_string(&file).expect("written");
    assert_eq!(kept.lines().count(), 1, "{kept}");
    tamper(&app, "delete from auth.audit_checkpoints").await;
    tamper(&app, "delete from auth.security_event_seals where seq > 1").await;
    tamper(&app, "delete from auth.security_events where id > 1").await;
    assert_eq!(
        verify(&app).await["fault"],
        Value::Null,
        "nothing inside tells"
    );
    let found = audit::verify(&app.app, Some(&file))
        .await
        .expect("verified");
    let found = serde_json::to_value(found).expect("JSON");
    assert_eq!(
        found["fault"],
        json!({"seq": 2, "eventId": null, "kind": "cut_off"})
    );
    std::fs::write(&file, kept.replace("\"seq\":2", "\"seq\":9")).expect("written");
    let forged = audit::verify(&app.app, Some(&file))
        .await
        .expect("verified");
    let forged = serde_json::to_value(forged).expect("JSON");
    assert_eq!(forged["fault"]["kind"], "checkpoint_forged");
    std::fs::remove_file(&file).expect("removed");
}

#[tokio::test]
async fn erased_details_leave_the_trail_intact() {
    let app = sealed().await;
    tamper(
        &app,
        "delete from auth.security_event_details where event_id <= 2",
    )
    .await;
    let found = verify(&app).await;
    assert_eq!(
        (&found["fault"], &found["erased"]),
        (&Value::Null, &json!(2))
    );
}

#[tokio::test]
async fn an_event_that_commits_after_a_later_one_is_sealed_once_too() {
    let app = TestApp::start().await;
    app.user("ada").await;
    let mut slow: PgConnection = PgConnection::connect_with(&app.db.owner.connect_options())
        .await
        .expect("connected");
    let mut tx = slow.begin().await.expect("begun");
    tx.execute(
        "select auth.record_event('login', 'refused', null, null, '{}', '{\"id\": \"slow\"}')",
    )
    .await
    .expect("recorded, not committed");
    app.user("bob").await;
    audit::seal(&app.app).await.expect("sealed");
    // However often the sealer looks meanwhile, it waits for who is still at work.
    for _ in 0..6 {
        app.advance(Duration::seconds(11)).await;
        audit::seal(&app.app).await.expect("sealed");
    }
    tx.commit().await.expect("committed");
    assert_eq!(audit::seal(&app.app).await.expect("sealed"), 1);
    raise_low(&app).await;
    let found = verify(&app).await;
    assert_eq!(
        (&found["fault"], &found["unsealed"]),
        (&Value::Null, &json!(0))
    );
}

#[tokio::test]
async fn an_event_slipped_in_where_nobody_looks_is_found() {
    let app = sealed().await;
    raise_low(&app).await;
    tamper(
        &app,
        "insert into auth.security_events (id, occurred_at, kind, outcome, actor_kind, details_digest) \
         overriding system value values (-1, auth.clock(), 'login', 'success', 'user', sha256(''))",
    )
    .await;
    assert_eq!(verify(&app).await["fault"]["kind"], "overlooked");
}

#[tokio::test]
async fn two_issuers_seal_one_chain() {
    let app = TestApp::start().await;
    let second = app.second(&[]).await;
    for name in ["ada", "bob", "eve", "kim"] {
        app.user(name).await;
        let (a, b) = tokio::join!(audit::seal(&app.app), audit::seal(&second.app));
        a.expect("sealed");
        b.expect("sealed");
    }
    audit::seal(&second.app).await.expect("sealed");
    let found = verify(&app).await;
    assert_eq!(
        (&found["fault"], &found["unsealed"]),
        (&Value::Null, &json!(0))
    );
}

#[tokio::test]
async fn the_chain_goes_on_under_another_master_key_and_needs_the_old_one_to_verify() {
    use issuer::secret::MasterKey;
    let app = sealed().await;
    let key = |byte| MasterKey::from_bytes([byte; 32]).to_base64().to_string();
    let (new, old) = (key(8), key(7));
    let rotated = app
        .second(&[("MASTER_KEY", &new), ("MASTER_KEY_PREVIOUS", &old)])
        .await;
    rotated.user("eve").await;
    audit::seal(&rotated.app).await.expect("sealed");
    assert_eq!(verify(&rotated).await["fault"], Value::Null);
    let alone = app.second(&[("MASTER_KEY", &new)]).await;
    assert_eq!(verify(&alone).await["fault"]["kind"], "unknown_master_key");
}

#[tokio::test]
async fn the_issuers_role_cannot_touch_the_chain_but_append_to_it() {
    let app = sealed().await;
    let mut issuer = app.db.as_issuer().await;
    for attempt in [
        "update auth.security_event_seals set mac = sha256('')",
        "delete from auth.security_event_seals",
        "select * from auth.security_event_seals",
        "delete from auth.audit_checkpoints",
        "update auth.audit_progress set low_id = 1000000",
    ] {
        let refused = issuer.execute(attempt).await;
        let code = refused
            .as_ref()
            .err()
            .and_then(|error| error.as_database_error())
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{attempt}: {refused:?}");
    }
}
