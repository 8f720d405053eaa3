//! `tollgate user`.

use std::io::Read;

use clap::Subcommand;
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::start::{attach_database, operator_connection, start_app};
use super::table::{table, to_json};
use crate::accounts::{Email, Password};
use crate::admin::{Act, UserFilter, UserListing, operator};
use crate::app::App;
use crate::config::Config;
use crate::secret::base64url;

/// What to do with people's accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an admin, the first one for example; prints a generated password once
    CreateAdmin {
        /// The address to sign in with
        #[arg(long)]
        email: String,
        /// What they are called
        #[arg(long)]
        name: Option<String>,
        /// Read the password from standard input instead of making one
        #[arg(long)]
        password_stdin: bool,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// List the newest users
    List {
        /// Part of an address or a name, or an id
        #[arg(long)]
        query: Option<String>,
        /// active, banned, deleted or erased
        #[arg(long)]
        status: Option<String>,
        /// user or admin
        #[arg(long)]
        role: Option<String>,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    Show {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
        /// For a program to read
        #[arg(long)]
        json: bool,
    },
    /// Sign somebody out and keep them out
    Ban {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Until when, as 2030-01-31T12:00:00Z; for good when left out
        #[arg(long)]
        until: Option<String>,
    },
    /// End a ban
    Unban {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Give or take the role of an admin
    Role {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
        /// user or admin
        role: String,
    },
    /// Sign somebody out everywhere
    RevokeSessions {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Take one-time and recovery codes off the account of somebody who has lost them
    ResetTwoFactor {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Delete an account; it is erased after 30 days
    Delete {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Take a deletion back
    Restore {
        /// Id or address
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
}

/// Runs one of the commands.
pub async fn run(config: Config, command: UserCommand) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let app = start_app(config, &database).await?;
    let mut connection = operator_connection(&database).await?;
    match command {
        UserCommand::CreateAdmin {
            email,
            name,
            password_stdin,
            json,
        } => {
            let given = password_stdin.then(read_password).transpose()?;
            create_admin(&app, &mut connection, &email, name.as_deref(), given, json).await
        }
        UserCommand::List {
            query,
            status,
            role,
            json,
        } => {
            let filter = UserFilter {
                query,
                status,
                role,
            };
            list(&mut connection, &filter, json).await
        }
        UserCommand::Show { user, json } => show(&mut connection, &user, json).await,
        UserCommand::Ban {
            user,
            reason,
            until,
        } => {
            let until = until.map(|text| read_instant(&text)).transpose()?;
            act(&mut connection, &user, Act::Ban { reason, until }).await
        }
        UserCommand::Unban { user } => act(&mut connection, &user, Act::Unban).await,
        UserCommand::Role { user, role } if matches!(role.as_str(), "user" | "admin") => {
            act(&mut connection, &user, Act::SetRole(role)).await
        }
        UserCommand::Role { .. } => Err("the role must be user or admin".into()),
        UserCommand::RevokeSessions { user } => {
            act(&mut connection, &user, Act::RevokeSessions).await
        }
        UserCommand::ResetTwoFactor { user } => {
            act(&mut connection, &user, Act::ResetTwoFactor).await
        }
        UserCommand::Delete { user } => act(&mut connection, &user, Act::Delete).await,
        UserCommand::Restore { user } => act(&mut connection, &user, Act::Restore).await,
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn create_admin(
    app: &App,
    connection: &mut PgConnection,
    email: &str,
    name: Option<&str>,
    given: Option<String>,
    json: bool,
) -> Result<(), String> {
    let email = Email::parse(email).ok_or("--email must be an e-mail address")?;
    let generated = given
        .is_none()
        .then(|| base64url(&app.entropy.bytes::<18>()));
    let text = given
        .as_deref()
        .or(generated.as_deref())
        .unwrap_or_default();
    let password =
        Password::choose(text).map_err(|fault| format!("the password {}", fault.expectation()))?;
    let created = operator::create_admin(app, connection, &email, password, name).await?;
    let (id, _) = created.ok_or(
        "an account with this address exists: `tollgate user role ADDRESS admin` makes it an admin",
    )?;
    if json {
        let answer =
            serde_json::json!({ "id": id, "email": email.as_str(), "password": generated });
        println!("{}", to_json(&answer));
    } else {
        println!("admin {} has the id {id}", email.as_str());
        if let Some(password) = generated {
            println!("password, shown this once: {password}");
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn list(
    connection: &mut PgConnection,
    filter: &UserFilter,
    json: bool,
) -> Result<(), String> {
    let users = operator::find_users(connection, filter)
        .await
        .map_err(|error| error.to_string())?;
    if json {
        println!("{}", to_json(&users));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = users
        .into_iter()
        .map(|user| {
            let created = instant(user.created_at);
            let sessions = user.n_sessions.to_string();
            vec![
                user.id,
                user.email,
                user.role,
                user.status,
                sessions,
                created,
            ]
        })
        .collect();
    let head = ["ID", "EMAIL", "ROLE", "STATUS", "SESSIONS", "CREATED"];
    println!("{}", table(&head, &rows));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn show(connection: &mut PgConnection, user: &str, json: bool) -> Result<(), String> {
    let user = find(connection, user).await?;
    if json {
        println!("{}", to_json(&user));
        return Ok(());
    }
    let until = user.status_until.map(instant);
    let rows = [
        ("id", user.id),
        ("email", user.email),
        ("name", user.name.unwrap_or_default()),
        ("role", user.role),
        ("status", user.status),
        ("reason", user.status_reason.unwrap_or_default()),
        ("until", until.unwrap_or_default()),
        ("verified", user.email_verified.to_string()),
        ("two-factor", user.two_factor_enabled.to_string()),
        ("sessions", user.n_sessions.to_string()),
        ("created", instant(user.created_at)),
    ];
    for (name, value) in rows {
        println!("{}", format!("{name:10}  {value}").trim_end());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
async fn act(connection: &mut PgConnection, user: &str, act: Act) -> Result<(), String> {
    let user = find(connection, user).await?;
    operator::act(connection, &user.id, &act)
        .await
        .map_err(|error| error.to_string())?;
    println!("{}: done", user.email);
    Ok(())
}

/// The one user of this id or address; the live one when an address was used before.
pub(super) async fn find(connection: &mut PgConnection, text: &str) -> Result<UserListing, String> {
    let filter = UserFilter {
        query: Some(text.to_owned()),
        ..UserFilter::default()
    };
    let mut users = operator::find_users(connection, &filter)
        .await
        .map_err(|error| error.to_string())?;
    users.retain(|user| user.id == text || user.email.eq_ignore_ascii_case(text.trim()));
    users.sort_by_key(|user| user.deleted_at.is_some());
    let found = users.into_iter().next();
    found.ok_or_else(|| format!("no user {text}: see `tollgate user list`"))
}

fn read_password() -> Result<String, String> {
    let mut text = String::new();
    let mut input = std::io::stdin().take(MAX_INPUT_BYTES);
    input
        .read_to_string(&mut text)
        .map_err(|_| "the password on standard input is not text")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) fn read_instant(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "an instant must look like 2030-01-31T12:00:00Z".into())
}

/// As RFC 3339 has it, to the second.
pub(super) fn instant(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// More than any password has.
const MAX_INPUT_BYTES: u64 = 4_096;
