//! `tollgate service-token`.

use clap::Subcommand;
use time::{Duration, OffsetDateTime};

use super::start::{attach_database, operator_connection, start_app};
use super::table::{table, to_json};
use super::user::instant;
use crate::apps::{NewCredential, ServiceListing, operator};
use crate::config::Config;

/// What to do with the credentials of services.
#[derive(Debug, Subcommand)]
pub enum ServiceTokenCommand {
    /// Make a credential; prints its secret once
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// The app it belongs to
        #[arg(long)]
        app: String,
        /// What it may do; can be repeated
        #[arg(long = "scope", default_value = "credits:hold")]
        scopes: Vec<String>,
        /// After how many days it ends by itself; it lasts until it is revoked when left out
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=3650))]
        days: Option<i64>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// List the credentials
    List {
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Make a credential void
    Revoke {
        /// Its id, as `service-token list` shows it
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: ServiceTokenCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let mut connection = operator_connection(&database).await?;
    match command {
        ServiceTokenCommand::Create {
            name,
            app: app_id,
            scopes,
            days,
            json,
        } => {
            let now = app.clock.now();
            let new = NewCredential {
                name,
                app_id,
                scopes,
                expires_at: days.map(|days| now + Duration::days(days)),
            };
            if let Some((field, words)) = new.problems(now).first() {
                return Err(format!("{field} {words}"));
            }
            let (id, secret) = operator::create_credential(&app, &mut connection, &new)
                .await
                .map_err(|error| error.to_string())?;
            let secret = secret.expose();
            if json {
                println!(
                    "{}",
                    to_json(&serde_json::json!({ "id": id, "secret": secret }))
                );
            } else {
                println!("{id} is made; secret, shown this once: {secret}");
            }
        }
        ServiceTokenCommand::List { json } => {
            let listed = operator::list_credentials(&mut connection)
                .await
                .map_err(|error| error.to_string())?;
            let now = app.clock.now();
            println!(
                "{}",
                if json {
                    to_json(&listed)
                } else {
                    listing(listed, now)
                }
            );
        }
        ServiceTokenCommand::Revoke { id } => {
            operator::revoke_credential(&mut connection, &id)
                .await
                .map_err(|error| error.to_string())?;
            println!("{id} is revoked: it is refused from this moment");
        }
    }
    Ok(())
}

fn listing(credentials: Vec<ServiceListing>, now: OffsetDateTime) -> String {
    let rows: Vec<Vec<String>> = credentials
        .into_iter()
        .map(|one| {
            let state = match (one.revoked_at, one.expires_at) {
                (Some(_), _) => "revoked",
                (None, Some(at)) if at <= now => "expired",
                (None, _) => "valid",
            };
            vec![
                one.id,
                one.name,
                one.app_id.unwrap_or_default(),
                one.scopes.join(" "),
                state.into(),
                one.last_used_at.map_or_else(|| "never".into(), instant),
            ]
        })
        .collect();
    table(
        &["ID", "NAME", "APP", "SCOPES", "STATE", "LAST USED"],
        &rows,
    )
}
