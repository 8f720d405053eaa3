//! `tollgate app`.

use clap::{Args, Subcommand};
use sqlx::PgConnection;

use super::start::{attach_database, operator_connection, start_app};
use super::table::{table, to_json};
use crate::apps::{AppAct, AppFields, AppListing, operator};
use crate::config::{Config, Mode};
use crate::outgoing::Reach;

/// What to do with apps.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Make an app; prints its webhook secret once
    Create {
        /// What it calls itself in requests
        app_id: String,
        #[command(flatten)]
        settings: Settings,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// List the apps
    List {
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Show one app
    Show {
        /// The app
        app_id: String,
    },
    /// Change what is named; the rest stays
    Update {
        /// The app
        app_id: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Refuse its services from this moment
    Disable {
        /// The app
        app_id: String,
    },
}

/// What can be set.
#[derive(Debug, Args)]
pub struct Settings {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// An audience of tokens for it; can be repeated
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// Where people may be sent back to; can be repeated
    #[arg(long = "return-origin")]
    return_origins: Vec<String>,
    /// Credits one user may spend in it a day
    #[arg(long)]
    spend_limit_day: Option<i64>,
    /// Credits one user may spend in it a month
    #[arg(long)]
    spend_limit_month: Option<i64>,
    /// Where it hears of events
    #[arg(long)]
    webhook_url: Option<String>,
}

/// Runs one of the commands.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config, command: AppCommand) -> Result<(), String> {
    // The database of `serve --dev` is its own; one with a URL may be anybody's.
    let reach = Reach::of(match config.database.url {
        Some(_) => Mode::Production,
        None => Mode::Development,
    });
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let mut connection = operator_connection(&database).await?;
    match command {
        AppCommand::Create {
            app_id,
            settings,
            json,
        } => {
            let fields = checked(settings.over(None, &app_id), reach)?;
            let create = AppAct::Create(fields);
            let secret = operator::act_on_app(&app, &mut connection, &app_id, &create)
                .await
                .map_err(|error| error.to_string())?;
            let secret = secret.map_or_else(String::new, |secret| secret.expose().to_owned());
            if json {
                let answer = serde_json::json!({ "appId": app_id, "webhookSecret": secret });
                println!("{}", to_json(&answer));
            } else {
                println!("{app_id} is made; webhook secret, shown this once: {secret}");
            }
        }
        AppCommand::List { json } => {
            let apps = operator::list_apps(&mut connection, None)
                .await
                .map_err(|error| error.to_string())?;
            println!("{}", if json { to_json(&apps) } else { listing(apps) });
        }
        AppCommand::Show { app_id } => {
            println!("{}", to_json(&find(&mut connection, &app_id).await?));
        }
        AppCommand::Update { app_id, settings } => {
            let before = find(&mut connection, &app_id).await?;
            let fields = checked(settings.over(Some(before.into()), &app_id), reach)?;
            operator::act_on_app(&app, &mut connection, &app_id, &AppAct::Update(fields))
                .await
                .map_err(|error| error.to_string())?;
            println!("{app_id} is changed");
        }
        AppCommand::Disable { app_id } => {
            operator::act_on_app(&app, &mut connection, &app_id, &AppAct::Disable)
                .await
                .map_err(|error| error.to_string())?;
            println!("{app_id} is disabled: its services are refused");
        }
    }
    Ok(())
}

impl Settings {
    /// What is named here over what was there.
    fn over(self, before: Option<AppFields>, app_id: &str) -> AppFields {
        let mut fields = before.unwrap_or(AppFields {
            name: app_id.to_owned(),
            audiences: Vec::new(),
            return_origins: Vec::new(),
            spend_limit_day: None,
            spend_limit_month: None,
            webhook_url: None,
        });
        if let Some(name) = self.name {
            fields.name = name;
        }
        if !self.audiences.is_empty() {
            fields.audiences = self.audiences;
        }
        if !self.return_origins.is_empty() {
            fields.return_origins = self.return_origins;
        }
        fields.spend_limit_day = self.spend_limit_day.or(fields.spend_limit_day);
        fields.spend_limit_month = self.spend_limit_month.or(fields.spend_limit_month);
        fields.webhook_url = self.webhook_url.or(fields.webhook_url);
        fields
    }
}

fn checked(fields: AppFields, reach: Reach) -> Result<AppFields, String> {
    match fields.problems(reach).first() {
        None => Ok(fields),
        Some((field, words)) => Err(format!("{field} {words}")),
    }
}

async fn find(connection: &mut PgConnection, app_id: &str) -> Result<AppListing, String> {
    let found = operator::list_apps(connection, Some(app_id))
        .await
        .map_err(|error| error.to_string())?;
    let found = found.into_iter().next();
    found.ok_or_else(|| format!("no app {app_id}: see `tollgate app list`"))
}

fn listing(apps: Vec<AppListing>) -> String {
    let limit = |limit: Option<i64>| limit.map_or_else(String::new, |limit| limit.to_string());
    let rows: Vec<Vec<String>> = apps
        .into_iter()
        .map(|app| {
            let state = if app.disabled_at.is_some() {
                "disabled"
            } else {
                "enabled"
            };
            let (day, month) = (limit(app.spend_limit_day), limit(app.spend_limit_month));
            vec![app.app_id, app.name, state.into(), day, month]
        })
        .collect();
    table(&["APP", "NAME", "STATE", "LIMIT/DAY", "LIMIT/MONTH"], &rows)
}
