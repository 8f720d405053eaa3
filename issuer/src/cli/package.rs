//! `tollgate package`.

use clap::{Args, Subcommand};
use sqlx::PgConnection;

use super::start::{attach_database, operator_connection};
use super::table::{table, to_json};
use crate::config::Config;
use crate::purchases::{PackageAct, PackageFields, PackageListing, operator};

/// What to do with packages.
#[derive(Debug, Subcommand)]
pub enum PackageCommand {
    /// List the packages, on offer or not
    List {
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Make a package and offer it
    Create {
        /// Its id, such as small
        id: String,
        /// What it is called where people pay
        #[arg(long)]
        name: String,
        /// How many credits it holds
        #[arg(long)]
        credits: i64,
        /// What it costs, in the smallest unit of the currency
        #[arg(long)]
        price_cents: i64,
        /// ISO 4217
        #[arg(long, default_value = "EUR")]
        currency: String,
    },
    /// Change what is named; the rest stays, and so does what was bought before
    Update {
        /// Its id
        id: String,
        #[command(flatten)]
        changes: Changes,
    },
    /// Offer a package
    Activate {
        /// Its id
        id: String,
    },
    /// Take a package off
    Deactivate {
        /// Its id
        id: String,
    },
    /// Remove a package that nobody has begun to buy
    Delete {
        /// Its id
        id: String,
    },
}

/// What can be changed.
#[derive(Debug, Args)]
pub struct Changes {
    /// What it is called where people pay
    #[arg(long)]
    name: Option<String>,
    /// How many credits it holds
    #[arg(long)]
    credits: Option<i64>,
    /// What it costs, in the smallest unit of the currency
    #[arg(long)]
    price_cents: Option<i64>,
    /// ISO 4217
    #[arg(long)]
    currency: Option<String>,
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: PackageCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let mut connection = operator_connection(&database).await?;
    let (id, act, done) = match command {
        PackageCommand::List { json } => {
            let packages = operator::list_packages(&mut connection, None)
                .await
                .map_err(|error| error.to_string())?;
            println!(
                "{}",
                if json {
                    to_json(&packages)
                } else {
                    listing(packages)
                }
            );
            return Ok(());
        }
        PackageCommand::Create {
            id,
            name,
            credits,
            price_cents,
            currency,
        } => {
            let fields = PackageFields {
                name,
                credits,
                price_cents,
                currency,
            };
            if let Some(problem) = operator::problem_of_id(&id) {
                return Err(problem.into());
            }
            (id, PackageAct::Create(checked(fields)?), "is on offer")
        }
        PackageCommand::Update { id, changes } => {
            let before = find(&mut connection, &id).await?;
            let fields = checked(changes.over(before.into()))?;
            (id, PackageAct::Update(fields), "is changed")
        }
        PackageCommand::Activate { id } => (id, PackageAct::Activate, "is on offer"),
        PackageCommand::Deactivate { id } => (id, PackageAct::Deactivate, "is taken off"),
        PackageCommand::Delete { id } => (id, PackageAct::Delete, "is removed"),
    };
    operator::act_on_package(&mut connection, &id, &act)
        .await
        .map_err(|error| format!("{id}: {error}"))?;
    println!("{id} {done}");
    Ok(())
}

impl Changes {
    /// What is named here over what was there.
    fn over(self, before: PackageFields) -> PackageFields {
        PackageFields {
            name: self.name.unwrap_or(before.name),
            credits: self.credits.unwrap_or(before.credits),
            price_cents: self.price_cents.unwrap_or(before.price_cents),
            currency: self.currency.unwrap_or(before.currency),
        }
    }
}

fn checked(fields: PackageFields) -> Result<PackageFields, String> {
    match fields.problems().first() {
        None => Ok(fields),
        Some((field, words)) => Err(format!("{field} {words}")),
    }
}

async fn find(connection: &mut PgConnection, id: &str) -> Result<PackageListing, String> {
    let found = operator::list_packages(connection, Some(id))
        .await
        .map_err(|error| error.to_string())?;
    let found = found.into_iter().next();
    found.ok_or_else(|| format!("no package {id}: see `tollgate package list`"))
}

fn listing(packages: Vec<PackageListing>) -> String {
    let rows: Vec<Vec<String>> = packages
        .into_iter()
        .map(|package| {
            let state = if package.active { "on offer" } else { "off" };
            let price = format!("{} {}", package.price_cents, package.currency);
            let credits = package.credits.to_string();
            vec![package.id, package.name, credits, price, state.into()]
        })
        .collect();
    table(
        &["PACKAGE", "NAME", "CREDITS", "PRICE/CENTS", "STATE"],
        &rows,
    )
}
