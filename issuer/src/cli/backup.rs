//! `tollgate backup` and `tollgate restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::start::{
    Database, attach_database, attach_or_start_database, existing_master_key, operator_connection,
    postgres_options, start_app,
};
use super::table::to_json;
use crate::audit;
use crate::backup::{self, BackupFile, Plan, Programs, Restored};
use crate::config::Config;
use crate::credits::reconcile;

/// Where to.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// A file that does not exist yet
    file: PathBuf,
    /// For a program to read
    #[arg(long)]
    json: bool,
}

/// From where.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// What `tollgate backup` wrote
    file: PathBuf,
    /// No issuer has run since the backup was made: nobody is signed out
    #[arg(long)]
    nothing_since: bool,
    /// Only verify the file and the master key; no database is touched
    #[arg(long)]
    check: bool,
    /// For a program to read
    #[arg(long)]
    json: bool,
}

/// Writes a backup.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn back_up(config: Config, arguments: BackupArguments) -> Result<(), String> {
    let master_key = existing_master_key(&config)?;
    let database = attach_database(&config).await?;
    let programs = programs(&config, &database);
    let done = backup::back_up(&programs, &master_key, &arguments.file).await?;
    let (header, bytes) = (&done.header, done.bytes);
    if arguments.json {
        let answer = json!({ "file": arguments.file, "bytes": bytes, "header": header });
        println!("{}", to_json(&answer));
        return Ok(());
    }
    println!(
        "wrote {}: {bytes} bytes, schema {}, everything committed until {}",
        arguments.file.display(),
        header.schema_version,
        header.made_at
    );
    println!(
        "it needs master key {}, which is not in it: keep that key elsewhere",
        header.master_key
    );
    Ok(())
}

/// Brings a backup back, and proves what came back.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn restore(config: Config, arguments: RestoreArguments) -> Result<(), String> {
    let mut keys = vec![existing_master_key(&config)?];
    keys.extend(config.master_key_previous.clone());
    let plan = Plan::make(BackupFile::open(&arguments.file)?, keys).await?;
    let header = plan.header().clone();
    if arguments.check {
        match arguments.json {
            true => println!("{}", to_json(&header)),
            false => println!(
                "{} is whole, made {} at schema {}, and fits master key {}",
                arguments.file.display(),
                header.made_at,
                header.schema_version,
                header.master_key
            ),
        }
        return Ok(());
    }
    let (database, embedded) = attach_or_start_database(&config).await?;
    let result = restore_into(config, &database, plan, &arguments, &header.made_at).await;
    if let Some(server) = embedded {
        server.stop().await;
    }
    result
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn restore_into(
    config: Config,
    database: &Database,
    plan: Plan,
    arguments: &RestoreArguments,
    made_at: &str,
) -> Result<(), String> {
    let programs = programs(&config, database);
    let restored = backup::restore(&programs, plan, arguments.nothing_since).await?;
    let n_incidents = reconcile(&mut operator_connection(database).await?)
        .await
        .map_err(|error| error.to_string())?
        .len();
    let app = start_app(config, database).await?;
    let found = audit::verify(&app, None)
        .await
        .map_err(|error| error.to_string())?;
    if arguments.json {
        let answer = json!({
            "madeAt": made_at,
            "migrated": restored.migrated,
            "sessionsEnded": restored.sessions_ended,
            "ledgerIncidents": n_incidents,
            "audit": found,
        });
        println!("{}", to_json(&answer));
    } else {
        print_restored(&restored, arguments, made_at);
        println!("ledger: {n_incidents} accounts differ from their entries");
        println!(
            "audit trail: {} events verified, {} not sealed yet",
            found.verified, found.unsealed
        );
    }
    match (n_incidents, found.fault) {
        (0, None) => Ok(()),
        (0, Some(fault)) => Err(format!(
            "everything is back, but the audit trail is not intact: {fault}"
        )),
        (n, _) => Err(format!(
            "everything is back, but {n} things are not as the entries say: see `tollgate credits reconcile`"
        )),
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn print_restored(restored: &Restored, arguments: &RestoreArguments, made_at: &str) {
    println!("restored everything committed until {made_at}");
    for version in &restored.migrated {
        println!("applied migration {version:04}");
    }
    if arguments.nothing_since {
        println!("nobody was signed out; clients refresh their access tokens");
        return;
    }
    println!(
        "{} sessions ended, because nobody knows which of them were ended since",
        restored.sessions_ended
    );
    println!(
        "what was revoked since has to be revoked again: signing keys, service credentials, bans (docs/runbooks.md)"
    );
}

fn programs(config: &Config, database: &Database) -> Programs {
    Programs {
        options: postgres_options(config),
        url: database.owner_url.clone(),
    }
}
