//! `tollgate audit`.

use std::path::PathBuf;

use clap::Subcommand;

use super::start::{attach_database, start_app};
use super::table::to_json;
use crate::audit;
use crate::config::Config;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Recompute the chain and compare it with every checkpoint; exit 1 and name the first bad event
    Verify {
        /// A file of checkpoints that was kept elsewhere, see `AUDIT_CHECKPOINT_FILE`
        #[arg(long)]
        checkpoint: Option<PathBuf>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: AuditCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let AuditCommand::Verify { checkpoint, json } = command;
    let found = audit::verify(&app, checkpoint.as_ref())
        .await
        .map_err(|error| error.to_string())?;
    if json {
        println!("{}", to_json(&found));
    } else {
        println!(
            "{} events verified, {} of them with erased details, {} checkpoints, {} not sealed yet",
            found.verified, found.erased, found.checkpoints, found.unsealed
        );
    }
    match found.fault {
        None => Ok(()),
        Some(fault) => Err(format!("the audit trail is not intact: {fault}")),
    }
}
