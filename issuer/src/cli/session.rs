//! `tollgate session`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::start::{attach_database, operator_connection};
use super::table::to_json;
use super::user::read_instant;
use crate::config::Config;
use crate::sessions::{self, SessionFilter};

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Sign out everybody, or everybody who fits, at once; each is an event of its user
    RevokeAll(RevokeAllArguments),
}

/// Whom.
#[derive(Debug, Args)]
pub struct RevokeAllArguments {
    /// Only users with this role: user or admin
    #[arg(long)]
    role: Option<String>,
    /// Only sessions opened before, as 2030-01-31T12:00:00Z
    #[arg(long)]
    opened_before: Option<String>,
    /// Only sessions opened then or later
    #[arg(long)]
    opened_after: Option<String>,
    /// Say how many it would be and do nothing
    #[arg(long)]
    dry_run: bool,
    /// For a program to read
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: SessionCommand) -> Result<(), String> {
    let SessionCommand::RevokeAll(arguments) = command;
    let filter = filter(&arguments)?;
    let database = attach_database(&config).await?;
    let mut connection = operator_connection(&database).await?;
    if arguments.dry_run {
        let n = sessions::count_many(&mut connection, &filter)
            .await
            .map_err(|error| error.to_string())?;
        let told = format!("{n} sessions would be ended; nothing was changed");
        println!(
            "{}",
            if arguments.json {
                to_json(&json!({ "wouldEnd": n }))
            } else {
                told
            }
        );
        return Ok(());
    }
    let ended = sessions::end_many(&mut connection, &filter, |n| {
        tracing::info!(n, "sessions ended so far");
    })
    .await
    .map_err(|error| format!("{error}. What was ended stays ended: run it again"))?;
    if arguments.json {
        let answer = json!({ "ended": ended.ended, "allTokensCutOff": ended.all_tokens_cut_off });
        println!("{}", to_json(&answer));
        return Ok(());
    }
    println!(
        "{} sessions ended; their access tokens are refused within seconds",
        ended.ended
    );
    if ended.all_tokens_cut_off {
        println!("so many that every access token of before is refused: other clients refresh");
    }
    Ok(())
}

fn filter(arguments: &RevokeAllArguments) -> Result<SessionFilter, String> {
    if let Some(role) = &arguments.role
        && !matches!(role.as_str(), "user" | "admin")
    {
        return Err("--role must be user or admin".into());
    }
    let instant = |text: &Option<String>| text.as_deref().map(read_instant).transpose();
    Ok(SessionFilter {
        role: arguments.role.clone(),
        opened_before: instant(&arguments.opened_before)?,
        opened_after: instant(&arguments.opened_after)?,
    })
}
