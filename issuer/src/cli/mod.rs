//! The command line.

mod app;
mod app_webhook;
mod audit;
mod backup;
mod calibrate;
mod credits;
mod import;
mod keys;
mod migrate;
mod openapi;
mod package;
mod serve;
mod service_token;
mod session;
mod start;
mod table;
mod user;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Mode, Source};
use crate::telemetry;

/// Signs people in and keeps their credits.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the issuer
    Serve {
        /// Development: loopback only, generated secrets, an embedded PostgreSQL
        #[arg(long)]
        dev: bool,
    },
    /// Make the database roles and apply the migrations that are missing
    Migrate,
    /// Write everything into one file, while the issuer goes on
    Backup(backup::BackupArguments),
    /// Bring a backup back into an empty database
    Restore(backup::RestoreArguments),
    /// Look at and change the signing keys
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Look after people's accounts
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// End the sessions of many at once
    Session {
        #[command(subcommand)]
        command: session::SessionCommand,
    },
    /// Look after apps
    App {
        #[command(subcommand)]
        command: AppCommand,
    },
    /// Look after the credentials of services
    ServiceToken {
        #[command(subcommand)]
        command: service_token::ServiceTokenCommand,
    },
    /// Prove the ledger, and put accounts right
    Credits {
        #[command(subcommand)]
        command: credits::CreditsCommand,
    },
    /// Look after what can be bought
    Package {
        #[command(subcommand)]
        command: package::PackageCommand,
    },
    /// Look at what Stripe reported, and apply it again
    Webhook {
        #[command(subcommand)]
        command: webhook::WebhookCommand,
    },
    /// Prove the audit trail
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Measure how long passwords take to hash on this machine
    Calibrate(calibrate::CalibrateArguments),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Bring users of another system here, with their passwords
    Import(import::ImportArguments),
    #[command(flatten)]
    Act(user::UserCommand),
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    /// Look at what apps are told, and send it again
    Webhook {
        #[command(subcommand)]
        command: app_webhook::WebhookCommand,
    },
    #[command(flatten)]
    Act(app::AppCommand),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let collector = variable("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|text| !text.is_empty());
    let _telemetry = match telemetry::init(variable("RUST_LOG").as_deref(), collector.as_deref()) {
        Ok(telemetry) => telemetry,
        Err(message) => return fail(&message),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve { dev } => {
                serve::serve(read(if dev {
                    Mode::Development
                } else {
                    Mode::Production
                })?)
                .await
            }
            Command::Migrate => migrate::run(read(Mode::Operator)?).await,
            Command::Backup(arguments) => backup::back_up(read(Mode::Operator)?, arguments).await,
            Command::Restore(arguments) => backup::restore(read(Mode::Operator)?, arguments).await,
            Command::Session { command } => session::run(read(Mode::Operator)?, command).await,
            Command::Keys { command } => keys::run(read(Mode::Operator)?, command).await,
            Command::User { command } => match command {
                UserCommand::Import(arguments) => {
                    import::run(read(Mode::Operator)?, arguments).await
                }
                UserCommand::Act(command) => user::run(read(Mode::Operator)?, command).await,
            },
            Command::App { command } => match command {
                AppCommand::Webhook { command } => {
                    app_webhook::run(read(Mode::Operator)?, command).await
                }
                AppCommand::Act(command) => app::run(read(Mode::Operator)?, command).await,
            },
            Command::ServiceToken { command } => {
                service_token::run(read(Mode::Operator)?, command).await
            }
            Command::Credits { command } => credits::run(read(Mode::Operator)?, command).await,
            Command::Package { command } => package::run(read(Mode::Operator)?, command).await,
            Command::Webhook { command } => webhook::run(read(Mode::Operator)?, command).await,
            Command::Audit { command } => audit::run(read(Mode::Operator)?, command).await,
            Command::Calibrate(arguments) => {
                calibrate::run(&arguments);
                Ok(())
            }
            Command::Openapi => openapi::run(read(Mode::Operator)?),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn read(mode: Mode) -> Result<Config, String> {
    Config::read(&mut Source::new(&variable), mode).map_err(|error: ConfigError| error.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a program that could not do its work"
)]
fn fail(message: &str) -> ExitCode {
    eprintln!("tollgate: {message}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_id_that_begins_with_a_hyphen_is_an_id() {
        for id in ["-Qz7", "--Qz7", "_Qz7"] {
            for words in [
                "keys revoke",
                "service-token revoke",
                "user show",
                "user ban --reason spam",
                "user unban",
                "user revoke-sessions",
                "user reset-two-factor",
                "user delete",
                "user restore",
            ] {
                let line = ["tollgate"].into_iter().chain(words.split(' ')).chain([id]);
                if let Err(error) = Cli::try_parse_from(line) {
                    panic!("{words} {id}: {error}");
                }
            }
        }
    }

    #[test]
    fn option_beside_an_id_is_an_option() {
        for line in [
            ["tollgate", "keys", "revoke", "-Qz7", "--json"],
            ["tollgate", "keys", "revoke", "--json", "-Qz7"],
        ] {
            let cli = Cli::try_parse_from(line).expect("the command line is understood");
            let Command::Keys {
                command: keys::KeysCommand::Revoke { kid, json },
            } = cli.command
            else {
                panic!("another command");
            };
            assert_eq!((kid.as_str(), json), ("-Qz7", true));
        }
    }
}
