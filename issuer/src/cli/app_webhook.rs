//! `tollgate app webhook`.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::start::{attach_database, operator_connection, start_app};
use super::table::{table, to_json};
use crate::apps::{self, AppAct};
use crate::config::Config;
use crate::webhooks::{DeliveryListing, DeliveryState, EventType, Filter, WebhookAct, operator};

/// What to do with what apps are told.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// List deliveries, newest first
    List {
        /// Only those to this app
        #[arg(long)]
        app: Option<String>,
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        /// Only those of this type, such as purchase.paid
        #[arg(long = "type", value_parser = event_type)]
        kind: Option<EventType>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Send again: one delivery, or all that an app has missed
    Replay {
        /// The delivery
        #[arg(required_unless_present = "app", conflicts_with = "app")]
        id: Option<i64>,
        /// The app whose dead deliveries are sent again
        #[arg(long)]
        app: Option<String>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Send an app a test event
    Ping {
        /// The app
        app_id: String,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Make another secret; the one before signs beside it for 24 hours
    RotateSecret {
        /// The app
        app_id: String,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    /// To be sent
    Pending,
    /// The receiver has it
    Delivered,
    /// Given up
    Dead,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Delivered => Self::Delivered,
            State::Dead => Self::Dead,
        }
    }
}

/// Runs one of the commands.
pub async fn run(config: Config, command: WebhookCommand) -> Result<(), String> {
    match command {
        WebhookCommand::List {
            app,
            state,
            kind,
            json,
        } => {
            let filter = Filter {
                id: None,
                app_id: app,
                state: state.map(DeliveryState::from),
                kind,
            };
            list(&config, &filter, json).await
        }
        WebhookCommand::Replay { id, app, json } => {
            let act = match (id, app) {
                (Some(delivery_id), _) => WebhookAct::Replay { delivery_id },
                (None, Some(app_id)) => WebhookAct::ReplayDead { app_id },
                (None, None) => return Err("name a delivery, or an app with --app".into()),
            };
            act_on(&config, &act, json).await
        }
        WebhookCommand::Ping { app_id, json } => {
            act_on(&config, &WebhookAct::Ping { app_id }, json).await
        }
        WebhookCommand::RotateSecret { app_id, json } => rotate(config, &app_id, json).await,
    }
}

async fn list(config: &Config, filter: &Filter, json: bool) -> Result<(), String> {
    let mut connection = operator_connection(&attach_database(config).await?).await?;
    let listed = operator::list_deliveries(&mut connection, filter)
        .await
        .map_err(|error| error.to_string())?;
    print(&if json {
        to_json(&listed)
    } else {
        listing(listed)
    });
    Ok(())
}

async fn act_on(config: &Config, act: &WebhookAct, json: bool) -> Result<(), String> {
    let mut connection = operator_connection(&attach_database(config).await?).await?;
    let acted = operator::act(&mut connection, act)
        .await
        .map_err(|error| error.to_string())?;
    if json {
        print(&to_json(&json!({
            "deliveryId": acted.delivery_id.map(|id| id.to_string()),
            "replayed": acted.n_replayed,
        })));
        return Ok(());
    }
    let words = match (act, acted.delivery_id, acted.n_replayed) {
        (WebhookAct::ReplayDead { app_id }, _, n) => {
            format!("{} deliveries are sent to {app_id} again", n.unwrap_or(0))
        }
        (_, Some(id), _) => format!("delivery {id} is sent by a running issuer within a second"),
        (_, None, _) => "nothing is sent".into(),
    };
    print(&words);
    Ok(())
}

async fn rotate(config: Config, app_id: &str, json: bool) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let mut connection = operator_connection(&database).await?;
    let rotate = AppAct::RotateWebhookSecret;
    let made = apps::operator::act_on_app(&app, &mut connection, app_id, &rotate)
        .await
        .map_err(|error| error.to_string())?;
    let secret = made.map_or_else(String::new, |secret| secret.expose().to_owned());
    print(&match json {
        true => to_json(&json!({ "appId": app_id, "webhookSecret": secret })),
        false => format!(
            "new webhook secret of {app_id}, shown this once: {secret}\nthe one before signs beside it for 24 hours"
        ),
    });
    Ok(())
}

fn event_type(text: &str) -> Result<EventType, String> {
    let names = || EventType::ALL.map(EventType::name).join(", ");
    EventType::parse(text).ok_or_else(|| format!("one of {}", names()))
}

fn listing(deliveries: Vec<DeliveryListing>) -> String {
    let rows: Vec<Vec<String>> = deliveries
        .into_iter()
        .map(|delivery| {
            let status = delivery.last_status.map(|status| status.to_string());
            vec![
                delivery.id.to_string(),
                delivery.app_id,
                delivery.kind,
                delivery.state,
                delivery.attempts.to_string(),
                status.unwrap_or_default(),
                delivery.last_error.unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &[
            "DELIVERY", "APP", "TYPE", "STATE", "ATTEMPTS", "STATUS", "ERROR",
        ],
        &rows,
    )
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn print(text: &str) {
    println!("{text}");
}
