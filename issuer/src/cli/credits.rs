//! `tollgate credits`.

use clap::Subcommand;
use serde_json::json;
use sqlx::PgConnection;

use super::start::{attach_database, operator_connection};
use super::table::{table, to_json};
use super::user::{find, read_instant};
use crate::config::Config;
use crate::credits::{Correction, Incident, TransactionId, corrections_operator, reconcile};
use crate::ids::Entropy;

/// What to do with credits.
#[derive(Debug, Subcommand)]
pub enum CreditsCommand {
    /// Recompute every account from its entries; exit code 1 and a list where anything differs
    Reconcile {
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Add credits to an account, or take them with a negative amount
    Adjust {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
        /// How many; not 0
        #[arg(allow_negative_numbers = true)]
        amount: i64,
        /// Why; the user can read it
        #[arg(long)]
        reason: String,
        /// When what is added lapses, as 2030-01-31T12:00:00Z; never when left out
        #[arg(long)]
        expires_at: Option<String>,
        /// By what a repeated command is known; one is made when left out
        #[arg(long)]
        key: Option<String>,
    },
    /// Give back of a charge
    Refund {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
        /// The charge, as the user's transactions show it
        transaction: String,
        /// How many; all that is left of the charge when left out
        #[arg(long)]
        amount: Option<i64>,
        /// Why; the user can read it
        #[arg(long)]
        reason: String,
        /// By what a repeated command is known
        #[arg(long)]
        key: Option<String>,
    },
}

/// Runs one of the commands.
pub async fn run(config: Config, command: CreditsCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let mut connection = operator_connection(&database).await?;
    match command {
        CreditsCommand::Reconcile { json } => prove(&mut connection, json).await,
        CreditsCommand::Adjust {
            user,
            amount,
            reason,
            expires_at,
            key,
        } => {
            let correction = Correction::adjust(
                amount,
                reason,
                expires_at.as_deref().map(read_instant).transpose()?,
                key.unwrap_or_else(|| Entropy::system().unique_id()),
            )?;
            correct(&mut connection, &user, &correction).await
        }
        CreditsCommand::Refund {
            user,
            transaction,
            amount,
            reason,
            key,
        } => {
            let transaction = TransactionId::parse(&transaction)
                .ok_or_else(|| format!("{transaction} is no id of a transaction"))?;
            let correction = Correction::refund(transaction, amount, reason, key)?;
            correct(&mut connection, &user, &correction).await
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn correct(
    connection: &mut PgConnection,
    user: &str,
    correction: &Correction,
) -> Result<(), String> {
    let user = find(connection, user).await?;
    let corrected = corrections_operator::correct(connection, &user.id, correction)
        .await
        .map_err(|error| error.to_string())?;
    let (transaction, balance) = (&corrected.transaction, corrected.balance.get());
    let done = if corrected.replayed {
        "done before"
    } else {
        "done"
    };
    println!(
        "{done}: {} of {}, {} credits in {}; {balance} can be spent now",
        transaction.kind.name(),
        user.email,
        transaction.amount.get(),
        transaction.id,
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn prove(connection: &mut PgConnection, as_json: bool) -> Result<(), String> {
    let incidents = reconcile(connection)
        .await
        .map_err(|error| error.to_string())?;
    if as_json {
        let listed: Vec<_> = incidents.iter().map(incident_json).collect();
        println!("{}", to_json(&json!({ "incidents": listed })));
    } else if incidents.is_empty() {
        println!("every account follows from its entries");
    } else {
        let rows: Vec<Vec<String>> = incidents.iter().map(incident_row).collect();
        let head = ["PROBLEM", "ACCOUNT", "WHERE", "FOUND", "EXPECTED"];
        println!("{}", table(&head, &rows));
    }
    match incidents.len() {
        0 => Ok(()),
        n => Err(format!("{n} things are not as the entries say")),
    }
}

fn incident_row(incident: &Incident) -> Vec<String> {
    let account = format!("{:016x}", incident.account_id);
    vec![
        incident.problem.clone(),
        account,
        incident.subject.clone(),
        incident.found.clone(),
        incident.expected.clone(),
    ]
}

fn incident_json(incident: &Incident) -> serde_json::Value {
    json!({
        "problem": incident.problem,
        "account": format!("{:016x}", incident.account_id),
        "subject": incident.subject,
        "found": incident.found,
        "expected": incident.expected,
    })
}
