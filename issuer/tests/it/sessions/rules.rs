//! What the database holds a session to, each rule by its name.

use sqlx::AssertSqlSafe;
use sqlx::error::DatabaseError;

use crate::support::TestApp;

#[tokio::test]
async fn a_session_that_breaks_a_rule_is_refused_with_the_rules_name() {
    let app = TestApp::start().await;
    app.user("ada").await;
    for (change, rule) in BROKEN {
        let sql = AssertSqlSafe(format!("update auth.sessions set {change}"));
        let updated = sqlx::query(sql).execute(&app.db.owner).await;
        let error = updated.expect_err(change);
        let found = error
            .as_database_error()
            .and_then(DatabaseError::constraint);
        assert_eq!(found, Some(rule), "{change}: {error}");
    }
}

#[tokio::test]
async fn a_session_at_the_edge_of_its_rules_is_accepted() {
    let app = TestApp::start().await;
    app.user("ada").await;
    for change in KEPT {
        let sql = AssertSqlSafe(format!("update auth.sessions set {change}"));
        let updated = sqlx::query(sql).execute(&app.db.owner).await;
        assert_eq!(updated.expect(change).rows_affected(), 1, "{change}");
    }
}

const BROKEN: [(&str, &str); 12] = [
    ("id = repeat('a', 21)", "sessions_id_form"),
    ("id = repeat('a', 23)", "sessions_id_form"),
    ("id = repeat('.', 22)", "sessions_id_form"),
    (
        "nonce_hash = sha256('') || '\\x00'",
        "sessions_nonce_hash_length",
    ),
    ("counter = -1", "sessions_counter_order"),
    ("previous_counter = counter", "sessions_counter_order"),
    ("recent_counters = '{1}'", "sessions_recent_bounded"),
    (
        "recent_counters = array_fill(1::bigint, array[33]), \
         recent_ended_at = array_fill(created_at, array[33])",
        "sessions_recent_bounded",
    ),
    (
        "expires_at = absolute_expires_at + interval '1 microsecond'",
        "sessions_expiry_order",
    ),
    ("revoked_at = created_at", "sessions_revocation_whole"),
    ("revoked_reason = 'logout'", "sessions_revocation_whole"),
    (
        "revoked_at = created_at, revoked_reason = 'boredom'",
        "sessions_reason_known",
    ),
];

const KEPT: [&str; 5] = [
    "counter = 0, previous_counter = null",
    "counter = 2, previous_counter = 1",
    "recent_counters = array_fill(1::bigint, array[32]), \
     recent_ended_at = array_fill(created_at, array[32])",
    "expires_at = absolute_expires_at",
    "revoked_at = created_at, revoked_reason = 'email_verified'",
];
