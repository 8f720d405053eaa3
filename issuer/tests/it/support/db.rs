//! A database for each test: a clone of one migrated template in a PostgreSQL that all test
//! processes share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::proving::mutation;
use issuer::db::embedded::{Durability, Logins, Options, start_or_join};
use issuer::db::{self, migrate};
use issuer::ids::Entropy;
use issuer::secret::SecretText;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use time::OffsetDateTime;

/// A migrated database whose clock stands at [`TestDb::START`].
pub struct TestDb {
    /// A superuser's pool, for looking at what was written.
    pub owner: PgPool,
    /// The issuer's login.
    pub issuer_url: SecretText,
    /// A superuser's login.
    pub owner_url: SecretText,
    name: String,
    admin_url: SecretText,
}

impl Drop for TestDb {
    /// A run of all tests would otherwise leave gigabytes behind.
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(url.expose())
                    .await
                    .map_err(std::io::Error::other)?;
                let drop = format!("drop database if exists {name} with (force)");
                admin
                    .execute(AssertSqlSafe(drop))
                    .await
                    .map_err(std::io::Error::other)
            })
        });
        // A database that stays is no reason to fail a test.
        let _left_behind = dropping.join();
    }
}

impl TestDb {
    /// When every test begins.
    pub const START: OffsetDateTime = time::macros::datetime!(2026-03-01 12:00 UTC);

    /// Clones the template.
    pub async fn create() -> Self {
        let logins = cluster().await;
        let mut admin = connect(&logins.owner, None).await;
        let template = template(&mut admin, &logins).await;
        let name = unique_name();
        admin
            .execute(AssertSqlSafe(format!(
                "create database {name} template {template}"
            )))
            .await
            .expect("the template can be cloned");
        // Rights on a database are not part of its template.
        admin
            .execute(AssertSqlSafe(format!(
                "revoke temporary on database {name} from public"
            )))
            .await
            .expect("revoked, as the migration did for the template");
        let options = options(&logins.owner).database(&name);
        let owner = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .expect("the clone answers");
        Self {
            owner,
            issuer_url: with_database(&logins.issuer, &name),
            owner_url: with_database(&logins.owner, &name),
            admin_url: logins.owner,
            name,
        }
    }

    /// Moves the database's clock.
    pub async fn set_clock(&self, at: OffsetDateTime) {
        sqlx::query("update public.test_clock set at = $1")
            .bind(at)
            .execute(&self.owner)
            .await
            .expect("the clock can be moved");
    }

    /// One value, read as superuser.
    pub async fn value<T>(&self, sql: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(sql)
            .fetch_one(&self.owner)
            .await
            .expect(sql)
    }

    /// A connection with the issuer's own rights.
    pub async fn as_issuer(&self) -> PgConnection {
        PgConnection::connect(self.issuer_url.expose())
            .await
            .expect("the issuer's login works")
    }
}

async fn cluster() -> Logins {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-postgres");
    let options = Options {
        binaries: std::env::var_os("TOLLGATE_POSTGRES_BIN").map(Into::into),
        search_path: std::env::var_os("PATH"),
        durability: Durability::None,
    };
    start_or_join(&dir, options)
        .await
        .expect("the shared test PostgreSQL starts")
}

/// The template is named after the migrations it holds, so that an edited one is never reused.
async fn template(admin: &mut PgConnection, logins: &Logins) -> String {
    let mut hasher = DefaultHasher::new();
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations"))
            .expect("the migrations are there")
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
    files.sort();
    for file in files {
        std::fs::read(&file)
            .expect("a readable migration")
            .hash(&mut hasher);
    }
    CLOCK.hash(&mut hasher);
    mutation().hash(&mut hasher);
    let name = format!("template_{:016x}", hasher.finish());
    // Session-level: whoever comes second waits until the first has finished.
    admin
        .execute("select pg_advisory_lock(7001)")
        .await
        .expect("the lock is free some time");
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut *admin)
            .await
            .expect("the catalogue can be read");
    if !exists {
        make_template(admin, logins, &name).await;
    }
    admin
        .execute("select pg_advisory_unlock(7001)")
        .await
        .expect("the lock is ours");
    name
}

async fn make_template(admin: &mut PgConnection, logins: &Logins, name: &str) {
    let unfinished = format!("{name}_unfinished");
    admin
        .execute(AssertSqlSafe(format!(
            "drop database if exists {unfinished} with (force)"
        )))
        .await
        .expect("dropped");
    admin
        .execute(AssertSqlSafe(format!("create database {unfinished}")))
        .await
        .expect("created");
    let mut connection = db::connect(&with_database(&logins.owner, &unfinished))
        .await
        .expect("it answers");
    migrate(&mut connection)
        .await
        .expect("the migrations apply");
    connection
        .execute(CLOCK)
        .await
        .expect("the clock can be replaced");
    if let Some(mutation) = mutation() {
        let mutated = connection.execute(AssertSqlSafe(mutation)).await;
        mutated.expect("the rule can be taken out");
    }
    sqlx::query("insert into public.test_clock values ($1)")
        .bind(TestDb::START)
        .execute(&mut connection)
        .await
        .expect("the clock starts");
    connection.close().await.expect("closed");
    admin
        .execute(AssertSqlSafe(format!(
            "alter database {unfinished} rename to {name}"
        )))
        .await
        .expect("renamed");
}

fn unique_name() -> String {
    let random: [u8; 8] = Entropy::system().bytes();
    format!("test_{:016x}", u64::from_be_bytes(random))
}

fn options(url: &SecretText) -> PgConnectOptions {
    url.expose().parse().expect("our own URL")
}

fn with_database(url: &SecretText, name: &str) -> SecretText {
    let mut url = url::Url::parse(url.expose()).expect("our own URL");
    url.set_path(name);
    SecretText::new(url.to_string())
}

async fn connect(url: &SecretText, database: Option<&str>) -> PgConnection {
    let options = options(url);
    let options = match database {
        Some(name) => options.database(name),
        None => options,
    };
    PgConnection::connect_with(&options)
        .await
        .expect("the test PostgreSQL answers")
}

/// Replaces the database's time by a row that the test moves.
const CLOCK: &str = "
create table public.test_clock (at timestamptz not null);
grant usage on schema public to tollgate_app, tollgate_definer;
grant select on public.test_clock to tollgate_app, tollgate_definer;
create or replace function auth.clock() returns timestamptz
  language sql volatile parallel safe
  as 'select at from public.test_clock';
";
