//! A real PgBouncer in front of the real PostgreSQL, in every mode. Debian's own version does not
//! know about prepared statements; set-up brings a newer one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use issuer::db::{self, Pooling, PoolingError, find_pooling};
use issuer::ids::Entropy;
use issuer::secret::SecretText;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::db::TestDb;
use crate::support::proving;

/// A PgBouncer of this test, killed when dropped.
struct PgBouncer {
    child: Child,
    folder: PathBuf,
    /// Through it, as the issuer's login.
    url: SecretText,
}

/// Which of the two that set-up provides.
#[derive(Clone, Copy)]
enum Version {
    /// Without any knowledge of prepared statements.
    Old,
    /// 1.21 or newer.
    New,
}

impl Version {
    /// A machine may have nothing but a new one, which can be told to forget.
    fn forget(self) -> &'static str {
        let said = Command::new(self.program()).arg("--version").output();
        let said = said
            .expect("pgbouncer starts: `cargo xtask setup` installs it")
            .stdout;
        let said = String::from_utf8_lossy(&said);
        let minor = said.split('.').nth(1).and_then(|n| n.parse().ok());
        match (self, minor.unwrap_or(0)) {
            (Self::Old, 21..) => "\nmax_prepared_statements = 0",
            _ => "",
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Self::Old => {
                std::env::var_os("PGBOUNCER_BIN").map_or("pgbouncer".into(), PathBuf::from)
            }
            Self::New => {
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/pgbouncer/pgbouncer")
            }
        }
    }
}

impl PgBouncer {
    /// Starts one with these settings and waits until it takes connections.
    async fn start(db: &TestDb, version: Version, settings: &str) -> Self {
        let random: [u8; 4] = Entropy::system().bytes();
        let name = format!("tollgate-pgb-{:08x}", u32::from_be_bytes(random));
        // The path of a socket is short: 107 bytes.
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let options: PgConnectOptions = db.issuer_url.expose().parse().expect("our own URL");
        let url = url::Url::parse(db.issuer_url.expose()).expect("our own URL");
        let socket = options
            .get_socket()
            .expect("tests use a socket")
            .display()
            .to_string();
        let ini = format!(
            "[databases]\nissuer = host={socket} port={} dbname={} user={} password={}\n\
             [pgbouncer]\nlisten_addr =\nunix_socket_dir = {}\nunix_socket_mode = 0777\nauth_type = any\n{}{settings}{}\n",
            options.get_port(),
            options.get_database().expect("a database"),
            options.get_username(),
            url.password().expect("a password"),
            folder.display(),
            // It refuses to run as root.
            if rustix::process::geteuid().is_root() {
                "user = postgres\n"
            } else {
                ""
            },
            version.forget(),
        );
        fs::write(folder.join("pgbouncer.ini"), ini).expect("written");
        give_away(&folder);
        let child = Command::new(version.program())
            .arg("--quiet")
            .arg(folder.join("pgbouncer.ini"))
            .stdout(Stdio::null())
            .spawn()
            .expect("pgbouncer starts: `cargo xtask setup` installs it");
        let url = SecretText::new(format!(
            "postgres://ada@localhost:6432/issuer?host={}",
            folder.display()
        ));
        let bouncer = Self { child, folder, url };
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::UnixStream::connect(bouncer.folder.join(".s.PGSQL.6432"))
            .await
            .is_err()
        {
            assert!(Instant::now() < deadline, "pgbouncer does not answer");
            tokio::task::yield_now().await;
        }
        bouncer
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Its own user must reach the folder, and nobody needs what is in it for longer than the test.
fn give_away(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("ours");
}

const SESSION: &str = "pool_mode = session";
const TRANSACTION: &str = "pool_mode = transaction";
const NEW_TRANSACTION: &str = "pool_mode = transaction\nmax_prepared_statements = 200";

async fn refusal(url: &SecretText) -> String {
    match find_pooling(url).await {
        Ok(found) => panic!("accepted as {found:?}"),
        Err(error) => error.to_string(),
    }
}

/// Gives limits to the login of this test's database only.
async fn limit(db: &TestDb) {
    let options: PgConnectOptions = db.issuer_url.expose().parse().expect("our own URL");
    let (login, database) = (
        options.get_username(),
        options.get_database().expect("a database"),
    );
    for setting in [
        "statement_timeout = '5s'",
        "lock_timeout = '2s'",
        "idle_in_transaction_session_timeout = '5s'",
    ] {
        let sql = format!("alter role {login} in database {database} set {setting}");
        db.owner
            .execute(AssertSqlSafe(sql))
            .await
            .expect("a superuser may");
    }
}

#[tokio::test]
async fn direct_connections_have_backends_of_their_own_and_the_trial_is_short() {
    let db = TestDb::create().await;
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let found = find_pooling(&db.issuer_url).await;
        assert_eq!(found.expect("accepted"), Pooling::OwnBackends);
        shortest = shortest.min(began.elapsed());
    }
    // The best of five, because other tests run beside this one.
    assert!(shortest < Duration::from_millis(500), "{shortest:?}");
}

#[tokio::test]
async fn session_pooling_is_accepted_by_either_version() {
    for version in [Version::Old, Version::New] {
        let db = TestDb::create().await;
        let bouncer = PgBouncer::start(&db, version, SESSION).await;
        let found = find_pooling(&bouncer.url).await;
        assert_eq!(found.expect("accepted"), Pooling::OwnBackends);
    }
}

#[tokio::test]
async fn transaction_pooling_without_knowledge_of_prepared_statements_is_always_refused() {
    let forgetful = "pool_mode = transaction\nmax_prepared_statements = 0";
    for (version, settings) in [(Version::Old, TRANSACTION), (Version::New, forgetful)] {
        let db = TestDb::create().await;
        // Neither how many backends there are nor whose turn it is makes a difference.
        for more in [
            "",
            "\nserver_round_robin = 1\nmin_pool_size = 8",
            "\ndefault_pool_size = 1",
            "\ndefault_pool_size = 2",
        ] {
            let bouncer = PgBouncer::start(&db, version, &format!("{settings}{more}")).await;
            for _ in 0..5 {
                let said = refusal(&bouncer.url).await;
                assert!(
                    said.contains("mixes up answers")
                        && said.contains("pool_mode = session")
                        && said.contains("max_prepared_statements"),
                    "{more}: {said}"
                );
            }
        }
    }
}

#[tokio::test]
async fn transaction_pooling_with_prepared_statements_is_accepted_once_limits_belong_to_the_login()
{
    let db = TestDb::create().await;
    let bouncer = PgBouncer::start(&db, Version::New, NEW_TRANSACTION).await;
    let said = refusal(&bouncer.url).await;
    assert!(
        said.contains("alter role <login> set statement_timeout")
            && said.contains("idle_in_transaction_session_timeout, lock_timeout"),
        "{said}"
    );
    drop(bouncer);
    limit(&db).await;
    for more in ["", "\nserver_round_robin = 1", "\ndefault_pool_size = 1"] {
        let settings = format!("{NEW_TRANSACTION}{more}");
        let bouncer = PgBouncer::start(&db, Version::New, &settings).await;
        for _ in 0..5 {
            let found = find_pooling(&bouncer.url).await;
            assert_eq!(found.expect("accepted"), Pooling::SharedBackends, "{more}");
        }
    }
}

#[tokio::test]
async fn statement_pooling_is_refused_because_it_has_no_transactions() {
    let db = TestDb::create().await;
    let settings = "pool_mode = statement\nmax_prepared_statements = 200";
    let bouncer = PgBouncer::start(&db, Version::New, settings).await;
    let found = find_pooling(&bouncer.url).await;
    assert!(
        matches!(found, Err(PoolingError::SplitsTransactions)),
        "{found:?}"
    );
}

#[tokio::test]
async fn options_in_the_url_that_a_pooler_refuses_or_ignores_are_named() {
    let db = TestDb::create().await;
    let with_options =
        |url: &SecretText| SecretText::new(format!("{}&options[lock_timeout]=3s", url.expose()));
    let strict = PgBouncer::start(&db, Version::Old, SESSION).await;
    let said = refusal(&with_options(&strict.url)).await;
    assert!(
        said.contains("refuses the start-up parameter") && said.contains("alter role"),
        "{said}"
    );
    let lenient = format!("{SESSION}\nignore_startup_parameters = options");
    let lenient = PgBouncer::start(&db, Version::Old, &lenient).await;
    let said = refusal(&with_options(&lenient.url)).await;
    assert!(
        said.contains("lock_timeout") && said.contains("ignore_startup_parameters"),
        "{said}"
    );
    assert_eq!(
        find_pooling(&with_options(&db.issuer_url))
            .await
            .expect("it arrives"),
        Pooling::OwnBackends
    );
}

/// What counterparts of this test found without the trial: hundreds of wrong answers of 4 000.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_wrong_in_any_supported_mode() {
    let n_calls = usize::try_from(proving("CALLS").unwrap_or(200)).expect("a few thousand");
    let db = TestDb::create().await;
    limit(&db).await;
    let old = PgBouncer::start(
        &db,
        Version::Old,
        "pool_mode = session\ndefault_pool_size = 20",
    )
    .await;
    let new = format!("{NEW_TRANSACTION}\ndefault_pool_size = 5");
    let new = PgBouncer::start(&db, Version::New, &new).await;
    for (mode, url) in [
        ("direct", &db.issuer_url),
        ("PgBouncer, session", &old.url),
        ("PgBouncer, transaction, max_prepared_statements", &new.url),
    ] {
        find_pooling(url).await.expect("accepted");
        let (n_wrong, n_errors) = alternate(url, n_calls).await;
        assert_eq!((n_wrong, n_errors), (0, 0), "{mode}");
        println!("figure: {mode}: 20 clients, {n_calls} calls each, 0 wrong answers, 0 errors");
    }
}

/// Twenty clients alternate two statements of one type over one pool; wrong answers and errors.
async fn alternate(url: &SecretText, n_calls: usize) -> (usize, usize) {
    drop(db::connect(url).await.expect("it answers").close().await);
    let pool = PgPoolOptions::new()
        .max_connections(20)
        .connect_with(
            url.expose()
                .parse::<PgConnectOptions>()
                .expect("a URL")
                .extra_float_digits(None),
        )
        .await
        .expect("it answers");
    let clients = (0..20).map(|client| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let (mut n_wrong, mut n_errors) = (0, 0);
            for call in 0..n_calls {
                let (sql, expected) = match (client + call) % 2 {
                    0 => ("select 2::int8 where $1 = 1", 2_i64),
                    _ => ("select 1::int8 where $1 = 1", 1_i64),
                };
                match sqlx::query_scalar::<_, i64>(sql)
                    .bind(1)
                    .fetch_one(&pool)
                    .await
                {
                    Ok(found) => n_wrong += usize::from(found != expected),
                    Err(_) => n_errors += 1,
                }
            }
            (n_wrong, n_errors)
        })
    });
    let found = join_all(clients).await;
    let found = found.into_iter().map(|client| client.expect("no panic"));
    found.fold((0, 0), |sum, client| (sum.0 + client.0, sum.1 + client.1))
}

/// The danger is real: without the trial, this is what would be served.
#[tokio::test(flavor = "multi_thread")]
async fn refused_mode_does_answer_wrongly() {
    let db = TestDb::create().await;
    let settings = format!("{TRANSACTION}\ndefault_pool_size = 5");
    let bouncer = PgBouncer::start(&db, Version::Old, &settings).await;
    let options: PgConnectOptions = bouncer.url.expose().parse().expect("our own URL");
    let options = options.extra_float_digits(None);
    let mut first = PgConnection::connect_with(&options)
        .await
        .expect("it answers");
    let mut second = PgConnection::connect_with(&options)
        .await
        .expect("it answers");
    let one: i64 = sqlx::query_scalar("select 1::int8")
        .fetch_one(&mut first)
        .await
        .expect("nobody else has asked");
    assert_eq!(one, 1);
    let two: Result<i64, _> = sqlx::query_scalar("select 2::int8")
        .fetch_one(&mut second)
        .await;
    assert!(
        two.is_err(),
        "the name belongs to the other's statement: {two:?}"
    );
    first.close().await.expect("closed");
}
