//! `with-scratch-database DIR COMMAND…`: runs a command with `DATABASE_URL` naming a new, migrated
//! database, and drops the database afterwards.
//!
//! `DIR` is the data directory of the server that tests share; it is started when none runs. The
//! issuer's own modules are compiled in by path, because the issuer itself does not compile while
//! its queries and `.sqlx` disagree, and that is when this program is needed.

#[expect(dead_code, unused_imports, reason = "the issuer uses all of it")]
#[path = "../../issuer/src/db/embedded/mod.rs"]
mod embedded;
#[expect(dead_code, reason = "the issuer uses all of it")]
#[path = "../../issuer/src/db/error.rs"]
mod error;
#[expect(dead_code, reason = "the issuer uses all of it")]
#[path = "../../issuer/src/ids.rs"]
mod ids;
#[expect(dead_code, reason = "the issuer uses all of it")]
#[path = "../../issuer/src/db/migrate.rs"]
mod migrate;
#[expect(dead_code, reason = "the issuer uses all of it")]
#[path = "../../issuer/src/secret.rs"]
mod secret;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use embedded::{Durability, Options};
use error::DbError;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool> {
    let mut args = env::args_os().skip(1);
    let (Some(dir), Some(program)) = (args.next(), args.next()) else {
        bail!("usage: with-scratch-database DIR COMMAND…");
    };
    let logins = embedded::start_or_join(&PathBuf::from(dir), options()).await?;
    let server = Url::parse(logins.owner.expose()).context("the server's URL")?;
    let name = format!("scratch_{}", std::process::id());
    let mut maintenance = PgConnection::connect(server.as_str()).await?;
    maintenance
        .execute(AssertSqlSafe(format!("create database {name}")))
        .await?;
    let result = run_with(&server, &name, program, args.collect()).await;
    maintenance
        .execute(AssertSqlSafe(format!("drop database {name} with (force)")))
        .await?;
    maintenance.close().await?;
    result
}

async fn run_with(
    server: &Url,
    name: &str,
    program: OsString,
    args: Vec<OsString>,
) -> Result<bool> {
    let mut database = server.clone();
    database.set_path(name);
    let mut connection = PgConnection::connect(database.as_str()).await?;
    migrate::migrate(&mut connection)
        .await
        .context("applying the migrations")?;
    connection.close().await?;
    let mut command = Command::new(&program);
    command.args(args).env("DATABASE_URL", database.as_str());
    let status = command
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    Ok(status.success())
}

fn options() -> Options {
    Options {
        binaries: env::var_os("TOLLGATE_POSTGRES_BIN").map(PathBuf::from),
        search_path: env::var_os("PATH"),
        durability: Durability::None,
    }
}
