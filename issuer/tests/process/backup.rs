//! Backups as an operator makes and restores them, and what people notice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use issuer::db::embedded::EmbeddedPostgres;
use serde_json::{Value, json};
use shared_claims::{KeySet, Revocations, UnixTime};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::{Issuer, MASTER_KEY, PASSWORD, data_dir, run, stderr};

const NAME: &str = "https://id.example.com";
/// Another 32 bytes.
const OTHER_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// Somebody with the tokens of a sign-in.
struct Person {
    access_token: String,
    refresh_token: String,
}

impl Person {
    async fn sign_in(issuer: &Issuer, name: &str) -> Self {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let (status, answer) = issuer.post("/auth/login", "", &body).await;
        assert_eq!(status, 200, "{answer}");
        let text = |member: &str| answer[member].as_str().expect("a token").to_owned();
        Self {
            access_token: text("accessToken"),
            refresh_token: text("refreshToken"),
        }
    }

    async fn refresh(&self, issuer: &Issuer) -> (u16, Value) {
        let body = json!({"refreshToken": self.refresh_token});
        issuer.post("/auth/refresh", "", &body).await
    }

    async fn charge(&self, issuer: &Issuer, amount: i64, key: &str) -> Value {
        let body = json!({"amount": amount, "appId": "test", "description": "work", "idempotencyKey": key});
        let (status, answer) = issuer.post("/credits/use", &self.access_token, &body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

async fn is_valid(issuer: &Issuer, person: &Person) -> bool {
    let body = json!({"token": person.access_token});
    issuer.post("/auth/validate", "", &body).await.1["valid"] == true
}

/// The feed as a verifier takes it over, from nothing or from what it holds.
async fn feed(issuer: &Issuer, held: Option<&Revocations>) -> Revocations {
    let keys = issuer.get("/.well-known/feed-jwks.json").await.1;
    let keys = KeySet::from_json(keys.as_bytes()).expect("a key set");
    let jws = issuer.get("/.well-known/revocations").await.1;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = UnixTime::from_secs(now.expect("after 1970").as_secs());
    match held {
        None => Revocations::from_jws(&jws, &keys, NAME, now).expect("a feed"),
        Some(held) => held.updated(&jws, &keys, NAME, now).expect("a newer feed"),
    }
}

type Settings = [(&'static str, String); 3];

fn settings(dir: &Path) -> Settings {
    [
        ("TOLLGATE_DATA_DIR", path(dir).to_owned()),
        ("JWT_ISSUER", NAME.into()),
        ("MASTER_KEY", MASTER_KEY.into()),
    ]
}

/// The issuer's settings as the helpers take them, with others in place of some.
fn with<'a>(settings: &'a Settings, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = settings.iter().map(|(name, value)| (*name, value.as_str()));
    // The last of a name counts.
    own.chain(more.iter().copied()).collect()
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

fn refused(arguments: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let output = run(arguments, variables);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{word} is missing in: {said}");
    }
    assert!(!said.contains(MASTER_KEY), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_brings_everything_back_and_nothing_that_was_ended_since() {
    let (old, new) = (data_dir("backup_old"), data_dir("backup_new"));
    let file = data_dir("backup_files").with_extension("backup");
    let _ = fs::remove_file(&file);
    let (old, new) = (settings(&old), settings(&new));
    let mut issuer = Issuer::start(&["--dev"], &with(&old, &[])).await;
    issuer.user("ada").await;
    issuer.user("bob").await;
    let (ada, bob) = (
        Person::sign_in(&issuer, "ada").await,
        Person::sign_in(&issuer, "bob").await,
    );
    let charged = ada.charge(&issuer, 10, "before").await;
    let hold = json!({"amount": 5, "appId": "test"});
    let (status, hold) = issuer
        .post("/credits/holds", &ada.access_token, &hold)
        .await;
    assert_eq!(status, 201, "{hold}");
    let keys = issuer.get("/.well-known/jwks.json").await.1;
    // Sealed once a second: the proof of the trail is of something then.
    tokio::time::sleep(Duration::from_secs(2)).await;

    let written = run(&["backup", path(&file), "--json"], &with(&old, &[]));
    assert!(written.status.success(), "{}", stderr(&written));
    let mode = fs::metadata(&file)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_holds_no_secret(
        &file,
        &[MASTER_KEY, PASSWORD, &ada.access_token, &ada.refresh_token],
    );

    // What the backup does not know of.
    ada.charge(&issuer, 20, "after").await;
    let body = json!({"refreshToken": bob.refresh_token});
    assert_eq!(issuer.post("/auth/logout", "", &body).await.0, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = feed(&issuer, None).await;
    issuer.stop();

    let restored = run(&["restore", path(&file)], &with(&new, &[]));
    let said = String::from_utf8_lossy(&restored.stdout).into_owned();
    assert!(restored.status.success(), "{said}{}", stderr(&restored));
    assert!(
        said.contains("4 sessions ended") && said.contains("ledger: 0 accounts differ"),
        "{said}"
    );
    let issuer = Issuer::start(&["--dev"], &with(&new, &[])).await;
    assert_eq!(
        issuer.get("/.well-known/jwks.json").await.1,
        keys,
        "verifiers keep their keys"
    );
    let now = feed(&issuer, Some(&held)).await;
    assert!(
        now.epoch() > held.epoch(),
        "the feed is ahead of what verifiers hold"
    );
    for person in [&ada, &bob] {
        assert!(!is_valid(&issuer, person).await);
        assert_eq!(person.refresh(&issuer).await.1["code"], "session_revoked");
    }
    let ada = Person::sign_in(&issuer, "ada").await;
    assert!(is_valid(&issuer, &ada).await);
    assert_eq!(
        ada.charge(&issuer, 10, "before").await["transaction"],
        charged["transaction"]
    );
    let capture = format!(
        "/credits/holds/{}/capture",
        hold["hold"]["id"].as_str().expect("an id")
    );
    let body = json!({"amount": 5, "idempotencyKey": "capture"});
    assert_eq!(issuer.post(&capture, &ada.access_token, &body).await.0, 200);
    refused(
        &["restore", path(&file)],
        &with(&new, &[]),
        &["not empty", "schema auth"],
    );
    fs::remove_file(&file).expect("it was written");
}

fn assert_holds_no_secret(file: &Path, secrets: &[&str]) {
    let bytes = fs::read(file).expect("readable");
    let raw = [7; 32];
    for needle in secrets
        .iter()
        .map(|text| text.as_bytes())
        .chain([raw.as_slice()])
    {
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_refuses_before_it_touches_anything_and_moves_a_system_without_signing_out() {
    let dir = data_dir("backup_refusals");
    let file = data_dir("backup_refusal_files").with_extension("backup");
    let _ = fs::remove_file(&file);
    let settings = settings(&dir);
    let issuer = Issuer::start(&["--dev"], &with(&settings, &[])).await;
    issuer.user("ada").await;
    let ada = Person::sign_in(&issuer, "ada").await;
    let mut admin = Server::attach(&dir).await;

    refused(
        &["backup", path(&file)],
        &with(&settings, &[("MASTER_KEY", OTHER_KEY)]),
        &["is sealed with master key"],
    );
    assert!(!file.exists() && !file.with_extension("backup.partial").exists());
    assert!(
        run(&["backup", path(&file)], &with(&settings, &[]))
            .status
            .success()
    );
    refused(&["backup", path(&file)], &with(&settings, &[]), &["exists"]);

    let target = admin.create("moved").await;
    let target = with(
        &settings,
        &[
            ("DATABASE_URL", &target.0),
            ("DATABASE_OWNER_URL", &target.1),
        ],
    );
    let other_key = [target.as_slice(), &[("MASTER_KEY", OTHER_KEY)]].concat();
    refused(
        &["restore", path(&file)],
        &other_key,
        &["needs master key", "Nothing was changed"],
    );
    damaged_files_are_refused(&file, &target);
    let fake = fake_programs(&dir);
    let broken = [target.as_slice(), &[("TOLLGATE_POSTGRES_BIN", path(&fake))]].concat();
    refused(
        &["restore", path(&file)],
        &broken,
        &["the disk is full", "Nothing was restored"],
    );
    refused(
        &["restore", path(&file)],
        &with(&settings, &[]),
        &["not empty"],
    );
    let checked = run(&["restore", path(&file), "--check"], &target);
    assert!(checked.status.success(), "{}", stderr(&checked));

    let moved = run(
        &["restore", path(&file), "--nothing-since", "--json"],
        &target,
    );
    assert!(moved.status.success(), "{}", stderr(&moved));
    let answer: Value = serde_json::from_slice(&moved.stdout).expect("JSON");
    assert_eq!(
        (&answer["sessionsEnded"], &answer["ledgerIncidents"]),
        (&json!(0), &json!(0))
    );
    let second = Issuer::start(&[], &target).await;
    assert!(
        !is_valid(&second, &ada).await,
        "tokens of before are refused"
    );
    assert_eq!(ada.refresh(&second).await.0, 200, "and sessions go on");
    drop(second);

    // A restore that was cut off leaves its mark, and nobody serves what is half there.
    let half = admin.create("half").await;
    let mut connection = PgConnection::connect(&half.1).await.expect("it answers");
    connection
        .execute("create schema tollgate_restore")
        .await
        .expect("created");
    let half = with(
        &settings,
        &[("DATABASE_URL", &half.0), ("DATABASE_OWNER_URL", &half.1)],
    );
    refused(&["serve"], &half, &["restore into this database"]);
    refused(&["restore", path(&file)], &half, &["was cut off"]);
    drop(issuer);
    fs::remove_file(&file).expect("it was written");
}

fn damaged_files_are_refused(file: &Path, target: &[(&str, &str)]) {
    let whole = fs::read(file).expect("readable");
    let copy = file.with_extension("copy");
    let with_bytes = |bytes: &[u8], words: &[&str]| {
        fs::write(&copy, bytes).expect("writable");
        refused(&["restore", path(&copy)], target, words);
    };
    with_bytes(
        &whole[..whole.len() - 1],
        &["damaged or cut off", "Nothing was changed"],
    );
    with_bytes(&whole[..200], &["tollgate:"]);
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    with_bytes(&changed, &["checksum", "Nothing was changed"]);
    with_bytes(b"PGDMP", &["no backup of Tollgate"]);
    let head = whole.split(|byte| *byte == b'\n').nth(1).expect("a header");
    let mut header: Value = serde_json::from_slice(head).expect("JSON");
    header["schemaVersion"] = json!(9_999);
    let newer = [
        b"tollgate backup 1\n".as_slice(),
        header.to_string().as_bytes(),
        b"\n",
        &whole,
    ]
    .concat();
    with_bytes(&newer, &["schema is version 9999", "or newer"]);
    fs::remove_file(copy).expect("it was written");
}

/// A `pg_restore` that fails at once.
fn fake_programs(dir: &Path) -> PathBuf {
    let folder = dir.join("fake-programs");
    fs::create_dir_all(&folder).expect("created");
    let program = folder.join("pg_restore");
    let script = "#!/bin/sh\ncase $1 in --version) echo 'pg_restore (PostgreSQL) 15.1';; *) echo 'the disk is full' >&2; exit 1;; esac\n";
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    folder
}

/// The embedded server, for databases beside the issuer's.
struct Server {
    issuer: String,
    owner: String,
}

impl Server {
    async fn attach(dir: &Path) -> Self {
        let logins = EmbeddedPostgres::attach(dir)
            .await
            .expect("readable")
            .expect("it runs");
        Self {
            issuer: logins.issuer.expose().to_owned(),
            owner: logins.owner.expose().to_owned(),
        }
    }

    /// Both logins of a new, empty database.
    async fn create(&mut self, name: &str) -> (String, String) {
        let mut admin = PgConnection::connect(&self.owner)
            .await
            .expect("it answers");
        let create = AssertSqlSafe(format!("create database {name}"));
        admin.execute(create).await.expect("created");
        let named = |url: &str| url.replacen("/tollgate?", &format!("/{name}?"), 1);
        (named(&self.issuer), named(&self.owner))
    }
}
