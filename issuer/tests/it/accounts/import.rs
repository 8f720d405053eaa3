//! Users of another system: what is written, what is not, and the real Better Auth.

use std::path::{Path, PathBuf};
use std::process::Command;

use issuer::accounts::{ImportReport, import_users, read_import};
use serde_json::{Value, json};

use crate::support::TestApp;

/// Of `correct horse battery`, as Better Auth makes it.
const SCRYPT: &str = "000102030405060708090a0b0c0d0e0f:70cc7d605f9fd0bfd324b3978bd79ee81076d98810046ed91604c3cb8aa6957761a2b0b97abf1e7c417ec4a9baa7bd1ce53449880d90dc1117c88d69b4f0b72e";

async fn import(app: &TestApp, lines: &[Value], with_bonus: bool) -> ImportReport {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    let file = read_import(text.join("\n").as_bytes()).expect("readable");
    assert_eq!(file.problems, []);
    import_users(&app.app, &file, with_bonus, |_| ())
        .await
        .expect("imported")
}

fn ada() -> [Value; 2] {
    [
        json!({"user": {"id": "GVyvGLKpDhSqEFjPvgoHb2qlSJ7A0u1p", "email": "ada@example.com", "name": "Ada",
                        "emailVerified": true, "createdAt": "2025-01-02T03:04:05Z"}}),
        json!({"account": {"userId": "GVyvGLKpDhSqEFjPvgoHb2qlSJ7A0u1p", "providerId": "credential", "password": SCRYPT}}),
    ]
}

#[tokio::test]
async fn an_imported_user_signs_in_with_the_old_password() {
    let app = TestApp::start().await;
    let report = import(&app, &ada(), false).await;
    assert_eq!((report.imported.len(), report.existing.len()), (1, 0));
    let ada = app.anon().login("ada@example.com", json!({})).await;
    assert_eq!(ada.id, report.imported[0].to);
    let me = ada.get("/api/v1/auth/me").await.expect(200).body;
    assert_eq!(
        me["user"],
        json!({"id": ada.id, "email": "ada@example.com", "name": "Ada", "role": "user",
               "emailVerified": true, "createdAt": "2025-01-02T03:04:05Z"})
    );
    let hash: String = app.db.value("select password_hash from auth.users").await;
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    let balance = ada.get("/api/v1/credits/balance").await.expect(200).body;
    assert_eq!(
        balance["balance"], 0,
        "a bonus is given only when it is asked for"
    );
    let (kind, actor): (String, String) =
        sqlx::query_as("select kind, actor_kind from auth.security_events order by id limit 1")
            .fetch_one(&app.db.owner)
            .await
            .expect("an event");
    assert_eq!((kind.as_str(), actor.as_str()), ("user_imported", "system"));
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let app = TestApp::start().await;
    let first = import(&app, &ada(), true).await;
    app.anon().login("ada@example.com", json!({})).await;
    let upgraded: String = app.db.value("select password_hash from auth.users").await;
    let again = import(&app, &ada(), true).await;
    assert_eq!((again.imported.len(), again.existing), (0, first.imported));
    let kept: String = app.db.value("select password_hash from auth.users").await;
    assert_eq!(kept, upgraded);
    let ada = app.anon().login("ada@example.com", json!({})).await;
    let balance = ada.get("/api/v1/credits/balance").await.expect(200).body;
    assert_eq!(balance["balance"], 150, "one bonus");
}

#[tokio::test]
async fn a_user_who_is_here_already_keeps_password_and_everything() {
    let app = TestApp::start().await;
    let here = app.user("ada").await;
    let before: String = app.db.value("select password_hash from auth.users").await;
    let report = import(&app, &ada(), true).await;
    assert_eq!(report.existing[0].to, here.id);
    let after: String = app.db.value("select password_hash from auth.users").await;
    assert_eq!(before, after);
    assert_eq!(
        app.db.value::<i64>("select count(*) from auth.users").await,
        1
    );
}

#[tokio::test]
async fn an_id_of_our_form_is_kept_unless_somebody_has_it() {
    let app = TestApp::start().await;
    let line = |email: &str| json!({"user": {"id": "abcdefghijklmnopqrs_-", "email": email}});
    let report = import(&app, &[line("ada@example.com")], false).await;
    assert_eq!(report.imported[0].to, "abcdefghijklmnopqrs_-");
    let report = import(&app, &[line("bob@example.com")], false).await;
    assert_ne!(report.imported[0].to, "abcdefghijklmnopqrs_-");
}

#[tokio::test]
async fn a_user_without_a_password_cannot_sign_in_with_one() {
    let app = TestApp::start().await;
    let [user, _] = ada();
    let google =
        json!({"account": {"userId": "GVyvGLKpDhSqEFjPvgoHb2qlSJ7A0u1p", "providerId": "google"}});
    import(&app, &[user, google], false).await;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    let answer = app.anon().post("/api/v1/auth/login", body).await;
    answer.expect_problem(401, "invalid_credentials");
}

/// Signs up people in the real npm package, exports its tables, and imports them here.
#[tokio::test]
async fn users_of_a_real_better_auth_database_sign_in_with_their_old_passwords() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = std::env::var_os("BETTER_AUTH_PACKAGES").map_or_else(
        || root.join(".tools/better-auth/node_modules"),
        PathBuf::from,
    );
    assert!(
        packages.is_dir(),
        "Better Auth is missing: `cargo xtask setup` installs it"
    );
    let output = Command::new("node")
        .arg("--no-warnings")
        .arg(root.join("xtask/better-auth/export.mjs"))
        .env("BETTER_AUTH_PACKAGES", &packages)
        .output()
        .expect("node starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let app = TestApp::start().await;
    let file = read_import(text.as_bytes()).expect("readable");
    assert_eq!(file.problems, []);
    let report = import_users(&app.app, &file, false, |_| ())
        .await
        .expect("imported");
    assert_eq!(report.imported.len(), 3);
    for (email, password) in [
        ("ada@example.com", "correct horse battery"),
        ("bob@example.com", "pässwörter sind länger"),
        ("eve@example.com", "ﬁne ligature 2026"),
    ] {
        let wrong = json!({"email": email, "password": format!("{password}!")});
        app.anon()
            .post("/api/v1/auth/login", wrong)
            .await
            .expect(401);
        for _ in 0..2 {
            let body = json!({"email": email, "password": password});
            app.anon()
                .post("/api/v1/auth/login", body)
                .await
                .expect(200);
        }
    }
    let upgraded: i64 = app
        .db
        .value("select count(*) from auth.users where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'")
        .await;
    assert_eq!(upgraded, 3);
}
