//! Configuration, read once at the start.
//!
//! Each concern has a file; each field names its variable. Whatever is wrong is collected,
//! so that one start reports every bad variable at once.

mod audit;
mod credits;
mod database;
mod http;
mod limits;
mod mail;
mod passkeys;
mod redis;
mod source;
mod stripe;
mod tokens;

use std::fmt;
use std::path::PathBuf;

pub use self::redis::RedisConfig;
pub use audit::AuditConfig;
pub use credits::CreditsConfig;
pub use database::DatabaseConfig;
pub use http::{AddressRange, HttpConfig};
pub use limits::{LimitsConfig, Registration};
pub use mail::{MailConfig, Protection, SmtpConfig};
pub use passkeys::PasskeyConfig;
pub use source::{Source, VariableProblem};
pub use stripe::StripeConfig;
pub use tokens::TokenConfig;

use crate::secret::MasterKey;

/// Everything an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Development or production.
    pub mode: Mode,
    /// Where the embedded PostgreSQL and generated secrets live: `TOLLGATE_DATA_DIR`.
    pub data_dir: PathBuf,
    /// How the database is reached.
    pub database: DatabaseConfig,
    /// `MASTER_KEY`; none in development means: generate one into the data directory.
    pub master_key: Option<MasterKey>,
    /// `MASTER_KEY_PREVIOUS`: still accepted for decryption and refresh after a change.
    pub master_key_previous: Option<MasterKey>,
    /// Addresses, origins and proxies.
    pub http: HttpConfig,
    /// What passkeys are bound to; none when `BASE_URL` is an address.
    pub passkeys: Option<PasskeyConfig>,
    /// Tokens and their keys.
    pub tokens: TokenConfig,
    /// Bonus and free credits.
    pub credits: CreditsConfig,
    /// The audit trail.
    pub audit: AuditConfig,
    /// Rate limits and registration.
    pub limits: LimitsConfig,
    /// Mail and the proof of addresses.
    pub mail: MailConfig,
    /// Where issuers share their rate limits; none: each for itself.
    pub redis: Option<RedisConfig>,
    /// Where money comes from; none: nobody can buy.
    pub stripe: Option<StripeConfig>,
}

/// How the program was started. Development is entered by `--dev` only, never by a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `tollgate serve --dev`: loopback only, secrets generated, an embedded PostgreSQL.
    Development,
    /// `tollgate serve`: nothing is guessed.
    Production,
    /// Every other command, beside either of them: what it does not need may be missing.
    Operator,
}

impl Config {
    /// Reads every variable.
    ///
    /// # Errors
    /// [`ConfigError`] lists every variable that is missing or wrong.
    pub fn read(source: &mut Source<'_>, mode: Mode) -> Result<Self, ConfigError> {
        let data_dir = source
            .text("TOLLGATE_DATA_DIR")
            .unwrap_or_else(|| ".tollgate".into());
        let http = HttpConfig::read(source, mode);
        let config = Self {
            mode,
            data_dir: data_dir.into(),
            database: DatabaseConfig::read(source, mode),
            master_key: read_master_key(source, "MASTER_KEY", mode == Mode::Production),
            master_key_previous: read_master_key(source, "MASTER_KEY_PREVIOUS", false),
            tokens: TokenConfig::read(source, &http),
            passkeys: PasskeyConfig::read(source, &http),
            http,
            credits: CreditsConfig::read(source),
            audit: AuditConfig::read(source),
            limits: LimitsConfig::read(source),
            mail: MailConfig::read(source, mode),
            redis: RedisConfig::read(source),
            stripe: StripeConfig::read(source),
        };
        source.finish().map(|()| config)
    }
}

fn read_master_key(
    source: &mut Source<'_>,
    name: &'static str,
    required: bool,
) -> Option<MasterKey> {
    let Some(text) = source.secret(name) else {
        if required {
            source.problem(name, "is required: 32 random bytes in base64, for example from `openssl rand -base64 32`");
        }
        return None;
    };
    let key = MasterKey::from_base64(text.expose());
    if key.is_none() {
        source.problem(name, "must be exactly 32 bytes in standard base64");
    }
    key
}

/// Every variable that is missing or wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<VariableProblem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .0
            .iter()
            .map(|problem| problem.variable.len())
            .max()
            .unwrap_or(0);
        write!(f, "the configuration has {} problem(s):", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  {:width$}  {}", problem.variable, problem.message)?;
        }
        f.write_str("\nSee docs/configuration.md for every variable.")
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn read(mode: Mode, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::read(&mut Source::new(&lookup), mode)
    }

    fn bad(mode: Mode, variables: &[(&str, &str)]) -> Vec<&'static str> {
        read(mode, variables)
            .expect_err("a problem was expected")
            .0
            .into_iter()
            .map(|problem| problem.variable)
            .collect()
    }

    #[test]
    fn production_without_database_and_master_key_names_both() {
        assert_eq!(bad(Mode::Production, &[]), ["DATABASE_URL", "MASTER_KEY"]);
    }

    #[test]
    fn every_bad_variable_is_listed_at_once() {
        let found = bad(
            Mode::Production,
            &[
                ("DATABASE_URL", "mysql://localhost/x"),
                ("MASTER_KEY", "short"),
                ("LISTEN_ADDR", "nowhere"),
                ("BASE_URL", "ftp://example.com"),
                ("ACCESS_TOKEN_TTL", "3601"),
                ("REFRESH_TOKEN_TTL", "-1"),
                ("CREDITS_SIGNUP_BONUS", "1.5"),
                ("CORS_ORIGINS", "*"),
                ("TRUSTED_PROXIES", "10.0.0.0/33"),
                ("REGISTRATION", "maybe"),
                ("RATE_LIMIT_SCALE", "0"),
                ("EMAIL_VERIFICATION", "on"),
                ("SMTP_URL", "smtp://mail.example.com"),
                ("SMTP_CA_FILE", "/nowhere/ca.pem"),
                ("MAIL_FROM", "nobody"),
                ("REDIS_URL", "http://localhost"),
                ("REDIS_PORT", "0"),
                ("STRIPE_SECRET_KEY", "pk_test_1"),
                ("STRIPE_WEBHOOK_SECRET", "secret"),
                ("STRIPE_API_BASE", "http://stripe.example.com"),
            ],
        );
        assert_eq!(found.len(), 20, "{found:?}");
    }

    #[test]
    fn development_needs_nothing() {
        let config = read(Mode::Development, &[]).expect("defaults are valid");
        assert_eq!(config.tokens.issuer, "http://127.0.0.1:3001");
        assert_eq!(config.credits.signup_bonus, 150);
        assert!(config.database.url.is_none());
    }

    #[test]
    fn verification_is_on_as_soon_as_mail_can_be_sent() {
        let on = |mode, more: &[(&str, &str)]| {
            let base = [
                ("DATABASE_URL", "postgres://u:p@localhost/x"),
                ("MASTER_KEY", KEY),
                ("MAIL_FROM", "no-reply@example.com"),
            ];
            let all: Vec<_> = base.iter().chain(more).copied().collect();
            read(mode, &all).map(|config| config.mail.verification)
        };
        let smtp = ("SMTP_URL", "smtps://u:p@mail.example.com");
        assert_eq!(on(Mode::Production, &[]), Ok(false));
        assert_eq!(on(Mode::Production, &[smtp]), Ok(true));
        let off = ("EMAIL_VERIFICATION", "off");
        assert_eq!(on(Mode::Production, &[smtp, off]), Ok(false));
        let on_without = on(Mode::Production, &[("EMAIL_VERIFICATION", "on")]);
        assert!(on_without.is_err(), "nobody could ever sign in");
        let development = on(Mode::Development, &[("EMAIL_VERIFICATION", "on")]);
        assert_eq!(development, Ok(true), "mail lands in the mailbox");
    }

    #[test]
    fn smtp_without_a_sender_is_refused() {
        let found = bad(Mode::Development, &[("SMTP_URL", "smtp://127.0.0.1:1025")]);
        assert_eq!(found, ["MAIL_FROM"]);
    }

    #[test]
    fn development_refuses_a_public_address() {
        assert_eq!(
            bad(Mode::Development, &[("LISTEN_ADDR", "0.0.0.0:3001")]),
            ["LISTEN_ADDR"]
        );
        assert_eq!(
            bad(Mode::Development, &[("BASE_URL", "https://id.example.com")]),
            ["BASE_URL"]
        );
    }

    #[test]
    fn operators_commands_take_the_environment_of_either_issuer() {
        let served = [
            ("DATABASE_URL", "postgres://u:p@localhost/x"),
            ("MASTER_KEY", KEY),
            ("LISTEN_ADDR", "0.0.0.0:3001"),
            ("BASE_URL", "https://id.example.com"),
            ("EMAIL_VERIFICATION", "on"),
        ];
        assert!(read(Mode::Operator, &served).is_ok());
        assert!(read(Mode::Operator, &[]).is_ok(), "the embedded one");
        let wrong = [("BASE_URL", "ftp://example.com")];
        assert_eq!(bad(Mode::Operator, &wrong), ["BASE_URL"]);
    }

    #[test]
    fn a_problem_never_repeats_the_value() {
        let error = read(
            Mode::Production,
            &[
                ("DATABASE_URL", "mysql://u:hunter2@h/x"),
                ("MASTER_KEY", "hunter2"),
            ],
        )
        .expect_err("both are wrong");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn debug_of_the_configuration_shows_no_secret() {
        let config = read(
            Mode::Production,
            &[
                ("DATABASE_URL", "postgres://u:hunter2@localhost/x"),
                ("MASTER_KEY", KEY),
                ("SMTP_URL", "smtps://u:hunter2@mail.example.com"),
                ("MAIL_FROM", "no-reply@example.com"),
                ("REDIS_URL", "redis://:hunter2@localhost/0"),
                ("STRIPE_SECRET_KEY", "sk_live_hunter2"),
                ("STRIPE_WEBHOOK_SECRET", "whsec_hunter2"),
            ],
        )
        .expect("valid");
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(KEY),
            "{shown}"
        );
    }
    #[test]
    fn redis_is_named_by_its_url_or_in_parts_and_never_both() {
        let with = |redis: &[(&str, &str)]| read(Mode::Development, redis);
        for good in [
            &[("REDIS_URL", "redis://localhost")][..],
            &[("REDIS_URL", "rediss://:secret@redis.example.com:6380/1")],
            &[("REDIS_URL", "unix:///run/redis.sock")],
            &[
                ("REDIS_HOST", "redis"),
                ("REDIS_PORT", "6380"),
                ("REDIS_PASSWORD", "secret"),
            ],
        ] {
            assert!(with(good).expect("valid").redis.is_some(), "{good:?}");
        }
        assert!(with(&[]).expect("valid").redis.is_none());
        let both = [("REDIS_URL", "redis://localhost"), ("REDIS_HOST", "redis")];
        assert_eq!(bad(Mode::Development, &both), ["REDIS_HOST"]);
        assert_eq!(
            bad(Mode::Development, &[("REDIS_PASSWORD", "x")]),
            ["REDIS_PASSWORD"]
        );
        assert_eq!(
            bad(Mode::Development, &[("REDIS_URL", "localhost:6379")]),
            ["REDIS_URL"]
        );
    }

    #[test]
    fn stripe_needs_both_secrets_and_knows_real_money() {
        let key = ("STRIPE_SECRET_KEY", "sk_live_1");
        let secret = ("STRIPE_WEBHOOK_SECRET", "whsec_1");
        let stripe = |more: &[(&str, &str)]| read(Mode::Development, more).map(|c| c.stripe);
        assert!(stripe(&[]).expect("valid").is_none());
        let live = stripe(&[key, secret]).expect("valid").expect("set up");
        assert!(live.is_live());
        assert_eq!(live.api_base, "https://api.stripe.com");
        let test = ("STRIPE_SECRET_KEY", "rk_test_1");
        let local = ("STRIPE_API_BASE", "http://127.0.0.1:12111/");
        let test = stripe(&[test, secret, local])
            .expect("valid")
            .expect("set up");
        assert!(!test.is_live());
        assert_eq!(test.api_base, "http://127.0.0.1:12111");
        assert_eq!(bad(Mode::Development, &[key]), ["STRIPE_WEBHOOK_SECRET"]);
        assert_eq!(bad(Mode::Development, &[secret]), ["STRIPE_SECRET_KEY"]);
    }
}
