//! `tollgate webhook`.

use clap::{Subcommand, ValueEnum};

use super::start::{attach_database, operator_connection};
use super::table::{table, to_json};
use crate::config::Config;
use crate::purchases::{EventListing, operator};

/// What to do with reports.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// List what Stripe reported, newest first
    List {
        /// In this state only
        #[arg(long)]
        state: Option<State>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Apply a report again that was refused or given up
    Replay {
        /// Its id, such as evt_…
        id: String,
    },
    /// Say that nothing more is to be done about such a report
    Dismiss {
        /// Its id, such as evt_…
        id: String,
    },
}

/// What became of a report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    /// To be applied
    Waiting,
    /// In the books
    Applied,
    /// No concern of ours
    Ignored,
    /// A payment that does not fit its purchase
    Refused,
    /// Could not be applied
    Dead,
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: WebhookCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let mut connection = operator_connection(&database).await?;
    match command {
        WebhookCommand::List { state, json } => {
            let events = operator::list_events(&mut connection, state.map(State::name))
                .await
                .map_err(|error| error.to_string())?;
            println!(
                "{}",
                if json {
                    to_json(&events)
                } else {
                    listing(events)
                }
            );
        }
        WebhookCommand::Replay { id } => {
            operator::replay_event(&mut connection, &id)
                .await
                .map_err(|error| format!("{id}: {error}"))?;
            println!("{id} is applied again by a running issuer within a second");
        }
        WebhookCommand::Dismiss { id } => {
            operator::dismiss_event(&mut connection, &id)
                .await
                .map_err(|error| format!("{id}: {error}"))?;
            println!("{id} is dismissed");
        }
    }
    Ok(())
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

fn listing(events: Vec<EventListing>) -> String {
    let rows: Vec<Vec<String>> = events
        .into_iter()
        .map(|event| {
            let or_none = Option::unwrap_or_default;
            vec![
                event.id,
                event.kind,
                event.state,
                or_none(event.outcome),
                or_none(event.purchase_id),
                or_none(event.last_error_code),
            ]
        })
        .collect();
    table(
        &["EVENT", "TYPE", "STATE", "OUTCOME", "PURCHASE", "ERROR"],
        &rows,
    )
}
