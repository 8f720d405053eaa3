//! The embedded PostgreSQL, with real servers: start, stop, crash, restart, refusal.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what failed by failing, and asks the machine where PostgreSQL is"
)]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use issuer::db::embedded::{
    BinariesError, Durability, EmbeddedError, EmbeddedPostgres, Options, PlaceError, start_or_join,
};
use issuer::secret::SecretText;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn first_start_creates_the_database_and_an_issuer_login_that_owns_nothing() {
    let dir = TestDir::new("first");
    let server = start(&dir).await;
    let mut issuer = connect(&server.logins().issuer).await;
    let (user, superuser, database): (String, bool, String) = sqlx::query_as(
        "select current_user::text, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls,
                current_database()::text
           from pg_roles where rolname = current_user",
    )
    .fetch_one(&mut issuer)
    .await
    .unwrap();
    assert_eq!((user.as_str(), superuser), ("tollgate_issuer", false));
    assert_eq!(database, "tollgate");
    let member: bool = sqlx::query_scalar("select pg_has_role('tollgate_app', 'member')")
        .fetch_one(&mut issuer)
        .await
        .unwrap();
    assert!(member);
    assert!(issuer.execute("create role intruder").await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn committed_data_is_there_after_stop_and_start() {
    let dir = TestDir::new("kept");
    let server = start(&dir).await;
    write_mark(&server).await;
    server.stop().await;
    assert!(!dir.pid_file().exists(), "a clean stop leaves no pid file");
    let server = start(&dir).await;
    assert!(has_mark(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn second_start_on_a_directory_in_use_is_refused_naming_the_owner() {
    let dir = TestDir::new("second");
    let server = start(&dir).await;
    let error = EmbeddedPostgres::start(dir.path(), options())
        .await
        .unwrap_err();
    assert!(matches!(error, EmbeddedError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert!(text.contains("TOLLGATE_DATA_DIR"), "{text}");
    // The refused start did the first no harm.
    connect(&server.logins().issuer).await;
    server.stop().await;
}

#[tokio::test]
async fn start_after_the_owner_died_replaces_the_server_it_left_running() {
    let dir = TestDir::new("owner-died");
    let server = start(&dir).await;
    write_mark(&server).await;
    let first = dir.server_pid();
    drop(server);
    assert!(is_running(first), "the server outlives its owner");
    let server = start(&dir).await;
    assert_ne!(dir.server_pid(), first);
    assert!(!is_running(first));
    assert!(has_mark(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn start_after_owner_and_server_were_killed_recovers_what_was_committed() {
    let dir = TestDir::new("both-killed");
    let server = start(&dir).await;
    write_mark(&server).await;
    // Backends hold the shared memory of the dead server until they notice.
    let _open = connect(&server.logins().owner).await;
    drop(server);
    kill_process(dir.server_pid(), Signal::KILL).unwrap();
    assert!(
        dir.pid_file().exists(),
        "a killed server leaves its pid file"
    );
    let server = start(&dir).await;
    assert!(has_mark(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn server_killed_while_its_owner_lives_is_started_again() {
    let dir = TestDir::new("restart");
    let server = start(&dir).await;
    write_mark(&server).await;
    for _ in 0..3 {
        let killed = dir.server_pid();
        kill_process(killed, Signal::KILL).unwrap();
        let recovered = async {
            while dir.pid_file_names(killed) || !can_connect(&server.logins().issuer).await {
                sleep(POLL).await;
            }
        };
        timeout(RESTART_DEADLINE, recovered)
            .await
            .expect("the server is back");
        assert!(has_mark(&server).await);
    }
    server.stop().await;
    assert!(!dir.pid_file().exists());
}

#[tokio::test]
async fn attach_reaches_a_running_server_and_finds_none_otherwise() {
    let dir = TestDir::new("attach");
    assert!(
        EmbeddedPostgres::attach(dir.path())
            .await
            .unwrap()
            .is_none(),
        "never started"
    );
    let server = start(&dir).await;
    let logins = EmbeddedPostgres::attach(dir.path())
        .await
        .unwrap()
        .expect("it runs");
    connect(&logins.issuer).await;
    connect(&logins.owner).await;
    server.stop().await;
    assert!(
        EmbeddedPostgres::attach(dir.path())
            .await
            .unwrap()
            .is_none(),
        "stopped"
    );
}

#[tokio::test]
async fn server_is_reachable_only_through_a_private_socket_and_with_the_password() {
    let dir = TestDir::new("private");
    let server = start(&dir).await;
    assert_eq!(mode(&dir.path().join("postgres.json")), 0o600);
    assert_eq!(mode(&dir.socket_dir()), 0o700);
    assert_eq!(mode(&dir.cluster()), 0o700);
    assert!(!dir.cluster().join("initdb.password").exists());
    let mut owner = connect(&server.logins().owner).await;
    let addresses: String = scalar(&mut owner, "show listen_addresses").await;
    assert_eq!(addresses, "");
    let methods: String = scalar(
        &mut owner,
        "select string_agg(distinct auth_method, ',') from pg_hba_file_rules",
    )
    .await;
    assert_eq!(methods, "scram-sha-256");
    let stored: i64 = scalar(
        &mut owner,
        "select count(*) from pg_authid where rolcanlogin and rolpassword not like 'SCRAM-SHA-256$%'",
    )
    .await;
    assert_eq!(stored, 0);
    for login in [&server.logins().owner, &server.logins().issuer] {
        let mut wrong = url::Url::parse(login.expose()).unwrap();
        wrong.set_password(Some("wrong")).unwrap();
        let error = PgConnection::connect(wrong.as_str()).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "28P01");
        wrong.set_password(None).unwrap();
        assert!(PgConnection::connect(wrong.as_str()).await.is_err());
    }
    server.stop().await;
}

#[tokio::test]
async fn no_secret_is_in_the_servers_log_environment_or_arguments() {
    let dir = TestDir::new("secrets");
    let server = start(&dir).await;
    let secrets: Vec<String> = [&server.logins().owner, &server.logins().issuer]
        .map(|login| {
            url::Url::parse(login.expose())
                .unwrap()
                .password()
                .unwrap()
                .to_owned()
        })
        .into();
    let shown = [
        fs::read(dir.cluster().join("server.log")).unwrap(),
        fs::read(format!(
            "/proc/{}/cmdline",
            dir.server_pid().as_raw_nonzero()
        ))
        .unwrap_or_default(),
    ]
    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for secret in &secrets {
        assert!(!shown.iter().any(|text| text.contains(secret)));
    }
    let environment = fs::read(format!(
        "/proc/{}/environ",
        dir.server_pid().as_raw_nonzero()
    ));
    let environment = String::from_utf8_lossy(&environment.unwrap_or_default()).into_owned();
    assert!(
        !environment.contains("CARGO"),
        "our environment is not the server's: {environment}"
    );
    server.stop().await;
}

#[tokio::test]
async fn server_never_runs_as_root() {
    let dir = TestDir::new("user");
    let server = start(&dir).await;
    let owner = fs::metadata(dir.pid_file()).unwrap().uid();
    assert_ne!(owner, 0);
    if !geteuid().is_root() {
        assert_eq!(owner, geteuid().as_raw());
    }
    server.stop().await;
}

#[tokio::test]
async fn pid_file_that_names_another_process_does_not_keep_the_server_from_starting() {
    let dir = TestDir::new("reused-pid");
    start(&dir).await.stop().await;
    fs::write(dir.pid_file(), format!("{}\n", std::process::id())).unwrap();
    start(&dir).await.stop().await;
}

#[tokio::test]
async fn creation_that_was_interrupted_is_done_again() {
    let dir = TestDir::new("interrupted");
    start(&dir).await.stop().await;
    fs::rename(
        dir.cluster().join("data"),
        dir.cluster().join("data.partial"),
    )
    .unwrap();
    fs::remove_file(dir.cluster().join("data.partial/PG_VERSION")).unwrap();
    start(&dir).await.stop().await;
    assert!(!dir.cluster().join("data.partial").exists());
}

#[tokio::test]
async fn cluster_without_its_passwords_is_refused_and_left_alone() {
    let dir = TestDir::new("no-record");
    start(&dir).await.stop().await;
    let record = dir.path().join("postgres.json");
    let kept = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let error = EmbeddedPostgres::start(dir.path(), options())
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmbeddedError::RecordMissing { .. }),
        "{error}"
    );
    fs::write(&record, kept).unwrap();
    start(&dir).await.stop().await;
}

#[tokio::test]
async fn malformed_record_is_refused_without_showing_its_content() {
    let dir = TestDir::new("bad-record");
    let record = dir.path().join("postgres.json");
    let texts = [
        "",
        "{}",
        "[1]",
        "{\"ownerPassword\": \"hunter2\"}",
        "hunter2",
    ];
    for text in texts {
        fs::write(&record, text).unwrap();
        let error = EmbeddedPostgres::start(dir.path(), options())
            .await
            .unwrap_err();
        assert!(
            matches!(error, EmbeddedError::Record { .. }),
            "{text}: {error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    fs::remove_file(record).unwrap();
}

#[tokio::test]
async fn cluster_of_a_version_that_is_not_installed_is_refused() {
    let dir = TestDir::new("version");
    start(&dir).await.stop().await;
    let version = dir.cluster().join("data/PG_VERSION");
    let installed = fs::read_to_string(&version).unwrap();
    fs::write(&version, "99\n").unwrap();
    let error = EmbeddedPostgres::start(dir.path(), options())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            EmbeddedError::Binaries(BinariesError::WrongVersion { made_by: 99, .. })
        ),
        "{error}"
    );
    fs::write(&version, installed).unwrap();
    start(&dir).await.stop().await;
}

#[tokio::test]
async fn server_that_cannot_start_is_reported_with_the_end_of_its_log() {
    let dir = TestDir::new("broken");
    start(&dir).await.stop().await;
    fs::remove_file(dir.cluster().join("data/global/pg_control")).unwrap();
    let error = EmbeddedPostgres::start(dir.path(), options())
        .await
        .unwrap_err();
    assert!(matches!(error, EmbeddedError::EndedEarly { .. }), "{error}");
    assert!(error.to_string().contains("pg_control"), "{error}");
}

#[tokio::test]
async fn data_directory_with_a_long_path_gets_a_short_private_socket() {
    let dir = TestDir::new(&"long-".repeat(20));
    let server = start(&dir).await;
    assert!(dir.socket_dir().starts_with("/tmp"));
    assert_eq!(mode(&dir.socket_dir()), 0o700);
    connect(&server.logins().issuer).await;
    server.stop().await;
}

#[tokio::test]
async fn socket_folder_that_somebody_else_could_enter_is_refused() {
    let dir = TestDir::new(&"open-".repeat(20));
    start(&dir).await.stop().await;
    fs::set_permissions(dir.socket_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = EmbeddedPostgres::start(dir.path(), options())
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmbeddedError::Place(PlaceError::UnsafeSocketDir(_))),
        "{error}"
    );
}

#[tokio::test]
async fn started_by_root_in_a_closed_folder_the_cluster_goes_where_its_user_can_reach() {
    if !geteuid().is_root() {
        return; // Only root starts a server as somebody else.
    }
    let closed = TestDir::new("closed");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let dir = TestDir {
        path: closed.path().join("inner"),
    };
    let server = start(&dir).await;
    assert!(
        dir.cluster().starts_with("/var/lib/tollgate"),
        "{:?}",
        dir.cluster()
    );
    write_mark(&server).await;
    server.stop().await;
    let server = start(&dir).await;
    assert!(has_mark(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn tests_that_start_together_share_one_server_that_outlives_them() {
    let dir = TestDir::new("shared");
    let joins = (0..8).map(|_| start_or_join(dir.path(), options()));
    let logins = futures_util::future::try_join_all(joins).await.unwrap();
    assert!(
        logins
            .iter()
            .all(|login| login.owner.expose() == logins[0].owner.expose())
    );
    let mut owner = connect(&logins[0].owner).await;
    let first = dir.server_pid();
    assert_eq!(scalar::<String>(&mut owner, "show fsync").await, "off");
    start_or_join(dir.path(), options()).await.unwrap();
    assert_eq!(dir.server_pid(), first);
}

#[tokio::test]
async fn shared_test_server_that_does_not_start_is_created_anew() {
    let dir = TestDir::new("anew");
    start_or_join(dir.path(), options()).await.unwrap();
    end(dir.server_pid()).await;
    fs::remove_file(dir.cluster().join("data/global/pg_control")).unwrap();
    let logins = start_or_join(dir.path(), options()).await.unwrap();
    connect(&logins.issuer).await;
}

#[tokio::test]
async fn shared_test_server_of_a_version_that_is_gone_is_created_anew() {
    let dir = TestDir::new("anew-version");
    start_or_join(dir.path(), options()).await.unwrap();
    end(dir.server_pid()).await;
    fs::write(dir.cluster().join("data/PG_VERSION"), "99\n").unwrap();
    let logins = start_or_join(dir.path(), options()).await.unwrap();
    connect(&logins.issuer).await;
}

/// A data directory that is removed with its cluster and its server.
struct TestDir {
    path: PathBuf,
}

impl TestDir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("embedded")
            .join(name);
        let dir = Self { path };
        dir.clear();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(&dir.path)
            .unwrap();
        dir
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn record(&self, key: &str) -> Option<PathBuf> {
        let text = fs::read(self.path.join("postgres.json")).ok()?;
        let record: serde_json::Value = serde_json::from_slice(&text).ok()?;
        record[key].as_str().map(PathBuf::from)
    }

    fn cluster(&self) -> PathBuf {
        self.record("clusterDir").unwrap()
    }

    fn socket_dir(&self) -> PathBuf {
        self.record("socketDir").unwrap()
    }

    fn pid_file(&self) -> PathBuf {
        self.cluster().join("data/postmaster.pid")
    }

    fn server_pid(&self) -> Pid {
        read_pid(&self.pid_file()).expect("a server runs")
    }

    fn pid_file_names(&self, pid: Pid) -> bool {
        read_pid(&self.pid_file()).is_none_or(|found| found == pid)
    }

    fn clear(&self) {
        if let Some(cluster) = self.record("clusterDir") {
            if let Some(pid) = read_pid(&cluster.join("data/postmaster.pid")) {
                let _ = kill_process(pid, Signal::QUIT);
            }
            let _ = fs::remove_dir_all(cluster);
            let _ = self.record("socketDir").map(fs::remove_dir_all);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        self.clear();
    }
}

fn options() -> Options {
    Options {
        binaries: std::env::var_os("TOLLGATE_POSTGRES_BIN").map(PathBuf::from),
        search_path: std::env::var_os("PATH"),
        durability: Durability::None,
    }
}

async fn start(dir: &TestDir) -> EmbeddedPostgres {
    EmbeddedPostgres::start(dir.path(), options())
        .await
        .expect("the server starts")
}

async fn connect(login: &SecretText) -> PgConnection {
    PgConnection::connect(login.expose())
        .await
        .expect("the login works")
}

async fn can_connect(login: &SecretText) -> bool {
    PgConnection::connect(login.expose()).await.is_ok()
}

async fn scalar<T>(connection: &mut PgConnection, query: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn write_mark(server: &EmbeddedPostgres) {
    let mut owner = connect(&server.logins().owner).await;
    owner
        .execute("create table mark as select 1 as one")
        .await
        .unwrap();
}

async fn has_mark(server: &EmbeddedPostgres) -> bool {
    let mut owner = connect(&server.logins().owner).await;
    scalar::<i64>(&mut owner, "select count(*) from mark").await == 1
}

/// Ends a server that nobody supervises.
async fn end(pid: Pid) {
    kill_process(pid, Signal::INT).unwrap();
    while is_running(pid) {
        sleep(POLL).await;
    }
}

fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

fn read_pid(pid_file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pid_file).ok()?;
    text.lines().next()?.parse().ok().and_then(Pid::from_raw)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Files and other processes send no events.
const POLL: Duration = Duration::from_millis(10);
/// Far above the half second it takes; a busy machine may need longer.
const RESTART_DEADLINE: Duration = Duration::from_secs(20);
