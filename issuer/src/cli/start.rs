//! From configuration to a running app: database, roles, schema, master key.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::backup;
use crate::clock::Clock;
use crate::config::{Config, DatabaseConfig, Mode};
use crate::db::embedded::{Durability, EmbeddedPostgres, Logins, Options};
use crate::db::{self, Db, OnConnect, Pooling};
use crate::ids::Entropy;
use crate::secret::{MasterKey, SecretText};
use crate::signing_keys::check_master_key;

/// How the database is reached.
pub struct Database {
    /// The issuer's login.
    pub url: SecretText,
    /// The login that may migrate.
    pub owner_url: SecretText,
}

impl From<&Logins> for Database {
    fn from(logins: &Logins) -> Self {
        Self {
            url: logins.issuer.clone(),
            owner_url: logins.owner.clone(),
        }
    }
}

/// The database that the configuration names; `None` when it leaves the choice to us.
pub fn configured_database(config: &Config) -> Option<Database> {
    let url = config.database.url.clone()?;
    let owner_url = config
        .database
        .owner_url
        .clone()
        .unwrap_or_else(|| url.clone());
    Some(Database { url, owner_url })
}

/// Starts the embedded server of `serve --dev`.
pub async fn start_embedded(config: &Config) -> Result<EmbeddedPostgres, String> {
    EmbeddedPostgres::start(&config.data_dir, postgres_options(config))
        .await
        .map_err(|error| error.to_string())
}

/// Where PostgreSQL's programs are looked for.
pub fn postgres_options(config: &Config) -> Options {
    Options {
        binaries: config.database.embedded_binaries.clone(),
        search_path: super::variable("PATH").map(OsString::from),
        durability: Durability::Safe,
    }
}

/// The database of every other subcommand: configured, or embedded in a running `serve`.
pub async fn attach_database(config: &Config) -> Result<Database, String> {
    if let Some(database) = configured_database(config) {
        return Ok(database);
    }
    match EmbeddedPostgres::attach(&config.data_dir).await {
        Ok(Some(logins)) => Ok(Database::from(&logins)),
        Ok(None) => Err(format!(
            "no database: set DATABASE_URL, or start `tollgate serve --dev` with its data in {}",
            config.data_dir.display()
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// The same for what is done while no issuer runs: an embedded server is started when none does, and
/// is the caller's to stop.
pub async fn attach_or_start_database(
    config: &Config,
) -> Result<(Database, Option<EmbeddedPostgres>), String> {
    if let Some(database) = configured_database(config) {
        return Ok((database, None));
    }
    let running = EmbeddedPostgres::attach(&config.data_dir).await;
    if let Some(logins) = running.map_err(|error| error.to_string())? {
        return Ok((Database::from(&logins), None));
    }
    let server = start_embedded(config).await?;
    Ok((Database::from(server.logins()), Some(server)))
}

/// A connection that may do what the issuer's own login may not: make an admin, for example.
pub async fn operator_connection(database: &Database) -> Result<sqlx::PgConnection, String> {
    let mut connection = connect_patiently(&database.owner_url).await?;
    refuse_shared_backends(&database.owner_url, &mut connection).await?;
    db::become_owner(&mut connection).await.map_err(|_| {
        "this needs a login that may migrate: set DATABASE_OWNER_URL to a superuser's or a member of tollgate_owner"
            .to_owned()
    })?;
    Ok(connection)
}

/// Connects, brings the schema up to date where this login may, and checks the master key.
pub async fn start_app(config: Config, database: &Database) -> Result<Arc<App>, String> {
    refuse_unfinished_restore(database).await?;
    let on_connect = prepare_schema(database).await?;
    let db = Db::open(&database.url, config.database.max_connections, on_connect)
        .map_err(|error| error.to_string())?;
    let db = add_replica(db, &config.database).await?;
    let master_key = match &config.master_key {
        Some(key) => key.clone(),
        None => generated_master_key(&config)?,
    };
    let previous = config.master_key_previous.clone();
    let master_keys = check_master_key(&db, master_key, previous)
        .await
        .map_err(|error| error.to_string())?;
    Ok(App::new(
        config,
        db,
        Clock::System,
        Entropy::system(),
        master_keys,
    ))
}

/// What was restored halfway would revive what had been ended.
async fn refuse_unfinished_restore(database: &Database) -> Result<(), String> {
    let mut connection = connect_patiently(&database.url).await?;
    let unfinished = backup::is_unfinished(&mut connection).await;
    match unfinished.map_err(|error| error.to_string())? {
        false => Ok(()),
        true => Err("a restore into this database is under way or was cut off. Wait for it; if none runs, drop the database, create it again and restore once more".into()),
    }
}

/// A replica that is away or behind is waited for in the background; a server that is none is refused.
async fn add_replica(db: Db, config: &DatabaseConfig) -> Result<Db, String> {
    let Some(url) = &config.replica_url else {
        return Ok(db);
    };
    let db = db
        .with_replica(url, config.max_connections)
        .map_err(|_| "DATABASE_REPLICA_URL cannot be understood".to_owned())?;
    let checked = match db.replica() {
        Some(replica) => replica.check(&db).await,
        None => Ok(0),
    };
    match checked {
        Err(error) if error.is_permanent() => Err(error.to_string()),
        Err(error) => {
            tracing::warn!(%error, "reads go to the primary until the replica is well");
            Ok(db)
        }
        Ok(_) => Ok(db),
    }
}

/// The login that may migrate takes another role for as long as its connection lasts, and a shared
/// backend would pass that on to whoever comes next.
pub async fn refuse_shared_backends(
    owner_url: &SecretText,
    owner: &mut sqlx::PgConnection,
) -> Result<(), String> {
    let privileges = db::privileges(owner)
        .await
        .map_err(|error| error.to_string())?;
    if !privileges.may_migrate || find_pooling(owner_url).await? == Pooling::OwnBackends {
        return Ok(());
    }
    Err(
        "DATABASE_OWNER_URL goes through a connection pooler that shares backends, and the role it takes would \
         be left to others: name the database server itself there, or a pooler with `pool_mode = session`; see \
         docs/scaling.md"
            .into(),
    )
}

async fn find_pooling(url: &SecretText) -> Result<Pooling, String> {
    db::find_pooling(url)
        .await
        .map_err(|error| error.to_string())
}

/// Applies what is missing, or waits until somebody who may has done so. Says what connections
/// of the issuer's login must do before they are used.
async fn prepare_schema(database: &Database) -> Result<OnConnect, String> {
    let words = |error: db::DbError| error.to_string();
    let mut owner = connect_patiently(&database.owner_url).await?;
    refuse_shared_backends(&database.owner_url, &mut owner).await?;
    if db::privileges(&mut owner).await.map_err(words)?.may_migrate {
        let applied = db::migrate(&mut owner)
            .await
            .map_err(|error| error.to_string())?;
        if !applied.is_empty() {
            tracing::info!(?applied, "applied migrations");
        }
    } else if !db::schema_is_current(&mut owner).await.map_err(words)? {
        return Err("the database's schema is not this version's: run `tollgate migrate` with DATABASE_OWNER_URL".into());
    }
    let mut issuer = connect_patiently(&database.url).await?;
    let privileges = db::privileges(&mut issuer).await.map_err(words)?;
    if !privileges.may_act_as_app {
        return Err("the login in DATABASE_URL is not a member of tollgate_app: `grant tollgate_app to <login>`".into());
    }
    match (find_pooling(&database.url).await?, privileges.is_plain_app) {
        (Pooling::OwnBackends, true) => Ok(OnConnect::Limit),
        (Pooling::SharedBackends, true) => {
            tracing::info!("a connection pooler shares backends and keeps prepared statements apart");
            Ok(OnConnect::Nothing)
        }
        (Pooling::OwnBackends, false) => {
            tracing::warn!(
                "the login in DATABASE_URL has more rights than the issuer needs: every connection steps down to \
                 tollgate_app. Better give it a login of its own and set DATABASE_OWNER_URL for migrations"
            );
            Ok(OnConnect::LimitAndStepDown)
        }
        (Pooling::SharedBackends, false) => Err(
            "the login in DATABASE_URL has more rights than the issuer needs, and the connection pooler shares \
             backends, so that connections cannot step down: give the issuer a login that is a member of \
             tollgate_app and no more, or set `pool_mode = session`; see docs/scaling.md"
                .into(),
        ),
    }
}

/// A server that is just starting is waited for, one that is not there is reported.
async fn connect_patiently(url: &SecretText) -> Result<sqlx::PgConnection, String> {
    let mut last = String::new();
    for _ in 0..CONNECT_ATTEMPTS {
        match db::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error @ db::DbError::Unavailable(_)) => last = error.to_string(),
            Err(error) => return Err(format!("cannot connect to the database: {error}")),
        }
        tokio::time::sleep(CONNECT_PAUSE).await;
    }
    Err(format!("cannot connect to the database: {last}"))
}

/// The master key at hand: configured, or in a development data directory. None is made.
pub fn existing_master_key(config: &Config) -> Result<MasterKey, String> {
    if let Some(key) = &config.master_key {
        return Ok(key.clone());
    }
    let path = config.data_dir.join("master-key");
    let text = fs::read_to_string(&path).map_err(|_| {
        format!(
            "no master key: set MASTER_KEY, or put the key into {}",
            path.display()
        )
    })?;
    MasterKey::from_base64(text.trim())
        .ok_or_else(|| format!("{} does not hold a master key", path.display()))
}

/// The master key of a development data directory, made at the first start.
fn generated_master_key(config: &Config) -> Result<MasterKey, String> {
    if config.mode == Mode::Production {
        return Err("MASTER_KEY is required".into());
    }
    let path = config.data_dir.join("master-key");
    let told = |error: std::io::Error| format!("cannot use {}: {error}", path.display());
    if !path.exists() {
        let key = MasterKey::from_bytes(Entropy::system().bytes());
        write_private(&path, key.to_base64().as_bytes()).map_err(told)?;
    }
    existing_master_key(config)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

const CONNECT_ATTEMPTS: u32 = 20;
const CONNECT_PAUSE: Duration = Duration::from_millis(500);
