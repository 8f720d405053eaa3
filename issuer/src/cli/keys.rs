//! `tollgate keys`.

use clap::{Subcommand, ValueEnum};

use super::start::{
    Database, attach_database, attach_or_start_database, existing_master_key, operator_connection,
    start_app,
};
use crate::config::Config;
use crate::signing_keys::{self, KeyListing, Purpose};

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys in use
    List {
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Let the standby sign and retire the active key
    Rotate {
        /// Which keys
        #[arg(long, value_enum, default_value = "access-token")]
        purpose: PurposeArg,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Take a key out of use at once: its tokens are refused within seconds
    Revoke {
        /// The key's id, as `keys list` shows it
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Go on with another master key although the old one is lost; everybody signs in again
    StartOver {
        /// That the old key cannot be set beside the new one: what only it opens is given up
        #[arg(long, required = true)]
        the_old_master_key_is_lost: bool,
    },
}

/// What keys sign.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PurposeArg {
    /// Access tokens
    AccessToken,
    /// The revocation feed
    RevocationFeed,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::AccessToken => Self::AccessToken,
            PurposeArg::RevocationFeed => Self::RevocationFeed,
        }
    }
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: KeysCommand) -> Result<(), String> {
    if let KeysCommand::StartOver { .. } = command {
        let (database, embedded) = attach_or_start_database(&config).await?;
        let result = start_over(&config, &database).await;
        if let Some(server) = embedded {
            server.stop().await;
        }
        return result;
    }
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    match command {
        // Done above, without an app: no app starts with the key of another database.
        KeysCommand::StartOver { .. } => {}
        KeysCommand::List { json } => {
            let keys = signing_keys::list(&app)
                .await
                .map_err(|error| error.to_string())?;
            println!("{}", if json { to_json(&keys) } else { table(&keys) });
        }
        KeysCommand::Rotate { purpose, json } => {
            let kid = signing_keys::rotate(&app, purpose.into())
                .await
                .map_err(|error| error.to_string())?;
            let answer = serde_json::json!({ "active": kid });
            println!(
                "{}",
                if json {
                    answer.to_string()
                } else {
                    format!("{kid} signs from now on")
                }
            );
        }
        KeysCommand::Revoke { kid, json } => {
            if !signing_keys::revoke(&app, &kid)
                .await
                .map_err(|error| error.to_string())?
            {
                return Err(format!("no key {kid} is in use: see `tollgate keys list`"));
            }
            let answer = serde_json::json!({ "revoked": kid });
            println!(
                "{}",
                if json {
                    answer.to_string()
                } else {
                    format!("{kid} is revoked: its tokens are refused within seconds")
                }
            );
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn start_over(config: &Config, database: &Database) -> Result<(), String> {
    let new = existing_master_key(config)?;
    let mut connection = operator_connection(database).await?;
    let done = signing_keys::start_over(&mut connection, &new)
        .await
        .map_err(|error| error.to_string())?;
    println!(
        "MASTER_KEY is master key {} of this database now: {} signing keys removed, {} sessions ended",
        done.version, done.keys_removed, done.sessions_ended
    );
    println!(
        "start the issuer: it makes new signing keys. What is lost, and what to do: docs/runbooks.md, Lost master key"
    );
    Ok(())
}

fn to_json(keys: &[KeyListing]) -> String {
    serde_json::to_string_pretty(keys).expect("a listing can be written as JSON")
}

fn table(keys: &[KeyListing]) -> String {
    let mut lines = vec![format!(
        "{:43}  {:15}  {:8}  {:20}  {}",
        "KID", "PURPOSE", "STATE", "PUBLISHED", "PROMOTABLE"
    )];
    for key in keys {
        let promotable = match key.promotable_in_secs {
            None => String::new(),
            Some(0) => "now".into(),
            Some(secs) => format!("in {secs} s"),
        };
        lines.push(format!(
            "{:43}  {:15}  {:8}  {:20}  {promotable}",
            key.kid, key.purpose, key.state, key.published_at
        ));
    }
    lines.join("\n")
}
