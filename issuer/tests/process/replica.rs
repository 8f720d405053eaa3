//! Reads from a real streaming replica: what is read there, and what happens when it stops.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use issuer::db::embedded::{Durability, EmbeddedPostgres, Options, find_client, start_or_join};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{Issuer, MASTER_KEY, data_dir, run, stderr};

/// A hot standby of an embedded server, ended and removed when dropped.
struct Standby {
    folder: PathBuf,
    programs: PathBuf,
    /// Both logins, at the standby.
    issuer: String,
    owner: String,
}

impl Standby {
    async fn of(primary: &EmbeddedLogins, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("run")).expect("created");
        let options = Options {
            binaries: std::env::var_os("TOLLGATE_POSTGRES_BIN").map(Into::into),
            search_path: std::env::var_os("PATH"),
            durability: Durability::None,
        };
        let program = find_client(&options, "pg_basebackup", 15).expect("PostgreSQL is installed");
        let at_standby = |url: &str| {
            let mut url = url::Url::parse(url).expect("our own URL");
            let run = folder.join("run");
            url.set_query(Some(&format!(
                "host={}&port=5432&sslmode=disable",
                run.display()
            )));
            url.to_string()
        };
        let standby = Self {
            issuer: at_standby(&primary.issuer),
            owner: at_standby(&primary.owner),
            programs: program.parent().expect("a folder").to_owned(),
            folder,
        };
        primary.allow_replication().await;
        standby.give_away();
        let data = standby.folder.join("data");
        standby.program(
            "pg_basebackup",
            &[
                "-d",
                &primary.owner,
                "-D",
                text(&data),
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
            ],
        );
        standby.start();
        standby
    }

    fn start(&self) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c hot_standby=on",
            text(&self.folder.join("run"))
        );
        let (data, log) = (self.folder.join("data"), self.folder.join("log"));
        self.program(
            "pg_ctl",
            &[
                "-D",
                text(&data),
                "-l",
                text(&log),
                "-w",
                "-o",
                &options,
                "start",
            ],
        );
    }

    fn kill(&self) {
        let data = self.folder.join("data");
        self.program("pg_ctl", &["-D", text(&data), "-m", "immediate", "stop"]);
    }

    async fn execute(&self, sql: &'static str) {
        let mut connection = PgConnection::connect(&self.owner)
            .await
            .expect("it answers");
        connection.execute(sql).await.expect(sql);
    }

    /// PostgreSQL refuses to run as root.
    fn program(&self, name: &str, arguments: &[&str]) {
        let program = self.programs.join(name);
        let mut command = match rustix::process::getuid().is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        // A file and no pipe: the server that `pg_ctl` leaves behind would keep a pipe open.
        let said = std::fs::File::create(self.folder.join("said")).expect("writable");
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdout(said.try_clone().expect("a handle"))
            .stderr(said)
            .status()
            .expect("it starts");
        let said = std::fs::read_to_string(self.folder.join("said")).unwrap_or_default();
        assert!(status.success(), "{name}: {said}");
    }

    fn give_away(&self) {
        if rustix::process::getuid().is_root() {
            let mut chown = Command::new("chown");
            chown.args(["-R", "postgres"]).arg(&self.folder);
            assert!(chown.status().is_ok_and(|status| status.success()));
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        if data.join("postmaster.pid").exists() {
            self.program("pg_ctl", &["-D", text(&data), "-m", "immediate", "stop"]);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The logins of the primary.
struct EmbeddedLogins {
    issuer: String,
    owner: String,
}

impl EmbeddedLogins {
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

    /// What an embedded server does not allow by itself.
    async fn allow_replication(&self) {
        let mut connection = PgConnection::connect(&self.owner)
            .await
            .expect("it answers");
        let file: String = sqlx::query_scalar("show hba_file")
            .fetch_one(&mut connection)
            .await
            .expect("a path");
        let rules = std::fs::read_to_string(&file).expect("readable");
        std::fs::write(
            &file,
            format!("{rules}\nlocal replication all scram-sha-256\n"),
        )
        .expect("writable");
        connection
            .execute("select pg_reload_conf()")
            .await
            .expect("reloaded");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

async fn charge(issuer: &Issuer, token: &str, key: &str) {
    let body = json!({"amount": 1, "appId": "test", "description": key, "idempotencyKey": key});
    let (status, answer) = issuer.post("/credits/use", token, &body).await;
    assert_eq!(status, 200, "{answer}");
}

/// What the newest line of the history says.
async fn newest(issuer: &Issuer, token: &str) -> String {
    let request = issuer.http.get(format!(
        "{}/api/v1/credits/transactions?limit=1",
        issuer.url
    ));
    let answer = request.bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let page: Value = answer.json().await.expect("JSON");
    page[0]["description"].as_str().expect("text").to_owned()
}

async fn metric(issuer: &Issuer, name: &str) -> i64 {
    let text = issuer.get("/metrics").await.1;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).expect("a number")
}

/// Waits until the replica is asked, or is asked no more.
async fn until_replica_is(issuer: &Issuer, up: i64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while metric(issuer, "tollgate_replica_up").await != up {
        assert!(Instant::now() < deadline, "the replica did not become {up}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_from_a_replica_and_from_the_primary_when_that_lags_or_dies() {
    let dir = data_dir("replica");
    let own = [
        ("TOLLGATE_DATA_DIR", text(&dir)),
        ("MASTER_KEY", MASTER_KEY),
    ];
    let primary = Issuer::start(&["--dev"], &own).await;
    let logins = EmbeddedLogins::attach(&dir).await;
    let standby = Standby::of(&logins, "replica").await;
    let variables = [
        ("DATABASE_URL", logins.issuer.as_str()),
        ("MASTER_KEY", MASTER_KEY),
        ("JWT_ISSUER", primary.url.as_str()),
        ("DATABASE_REPLICA_URL", &standby.issuer),
    ];
    let issuer = Issuer::start(&[], &variables).await;
    let token = issuer.user("ada").await;
    until_replica_is(&issuer, 1).await;
    // Through the other issuer, which knows of no replica: who has spent reads it at once.
    for n in 0..10 {
        let key = format!("charge-{n}");
        charge(&primary, &token, &key).await;
        assert_eq!(newest(&issuer, &token).await, key);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while metric(&issuer, "tollgate_reads_by_replica_total").await == 0 {
        assert_eq!(newest(&issuer, &token).await, "charge-9");
        assert!(
            Instant::now() < deadline,
            "no read ever went to the replica"
        );
    }

    standby.execute("select pg_wal_replay_pause()").await;
    charge(&primary, &token, "unseen-by-the-replica").await;
    let before = metric(&issuer, "tollgate_reads_by_replica_total").await;
    assert_eq!(newest(&issuer, &token).await, "unseen-by-the-replica");
    assert_eq!(
        metric(&issuer, "tollgate_reads_by_replica_total").await,
        before
    );
    until_replica_is(&issuer, 0).await;
    assert!(metric(&issuer, "tollgate_replica_behind_seconds").await > 5);
    standby.execute("select pg_wal_replay_resume()").await;
    until_replica_is(&issuer, 1).await;

    standby.kill();
    charge(&primary, &token, "after-its-death").await;
    assert_eq!(newest(&issuer, &token).await, "after-its-death");
    until_replica_is(&issuer, 0).await;
    standby.start();
    until_replica_is(&issuer, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_no_replica_of_the_database_is_refused_at_the_start() {
    let dir = data_dir("no_replica");
    let own = [
        ("TOLLGATE_DATA_DIR", text(&dir)),
        ("MASTER_KEY", MASTER_KEY),
    ];
    let _primary = Issuer::start(&["--dev"], &own).await;
    let logins = EmbeddedLogins::attach(&dir).await;
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-postgres");
    let options = Options {
        binaries: std::env::var_os("TOLLGATE_POSTGRES_BIN").map(Into::into),
        search_path: std::env::var_os("PATH"),
        durability: Durability::None,
    };
    let foreign = start_or_join(&shared, options).await.expect("it starts");
    let mut connection = PgConnection::connect(foreign.owner.expose())
        .await
        .expect("it answers");
    issuer::db::make_roles(&mut connection).await.expect("made");
    for (replica, words) in [
        (logins.issuer.as_str(), "is not in recovery"),
        (foreign.issuer.expose(), "is no copy"),
        ("nowhere", "must be a PostgreSQL URL"),
    ] {
        let variables = [
            ("DATABASE_URL", logins.issuer.as_str()),
            ("MASTER_KEY", MASTER_KEY),
            ("DATABASE_REPLICA_URL", replica),
        ];
        let output = run(&["serve"], &variables);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(
            said.contains(words) && said.contains("DATABASE_REPLICA_URL"),
            "{said}"
        );
    }
}
