//! A second factor that somebody shows: checked first, spent in the transaction of the act.

use serde_json::Value;
use sqlx::PgConnection;

use super::passkeys::{self, PasskeyAnswer, Purpose};
use super::recovery_code::RecoveryCode;
use super::store::{self, TotpTry};
use super::totp::TotpSecret;
use crate::app::App;
use crate::db::DbError;

/// A second factor as it was shown.
#[derive(Debug)]
pub enum Shown {
    /// A one-time code.
    Code(String),
    /// A recovery code.
    RecoveryCode(String),
    /// The answer of an authenticator.
    Passkey(PasskeyAnswer),
}

/// A second factor that was right when it was checked.
pub enum Checked {
    /// A one-time code: the secret it was checked with and its time step.
    Totp {
        /// The secret as stored.
        sealed: Vec<u8>,
        /// The step.
        step: i64,
    },
    /// A recovery code that has the right form; the database knows whether it is one.
    RecoveryCode {
        /// Its hash.
        hash: [u8; 32],
    },
    /// A passkey.
    Passkey(passkeys::Used),
}

impl Shown {
    /// What it is called in events.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Code(_) => "totp",
            Self::RecoveryCode(_) => "recovery_code",
            Self::Passkey(_) => "passkey",
        }
    }
}

impl Checked {
    /// How the session was signed in together with a password (RFC 8176, where it has a word).
    pub fn methods_after_password(&self) -> &'static [&'static str] {
        match self {
            Self::Totp { .. } => &["pwd", "otp"],
            Self::RecoveryCode { .. } => &["pwd", "recovery_code"],
            Self::Passkey(_) => &["pwd", "hwk", "user"],
        }
    }
}

/// Checks what was shown. `purpose` says what an authenticator must have been asked for.
///
/// # Errors
/// [`FactorError`].
pub async fn check(
    app: &App,
    user_id: &str,
    shown: &Shown,
    purpose: Purpose<'_>,
) -> Result<Checked, FactorError> {
    match shown {
        Shown::Code(code) => check_code(app, user_id, code).await,
        Shown::RecoveryCode(text) => {
            let code = RecoveryCode::parse(text).ok_or(FactorError::Wrong)?;
            let hash = code.hash(user_id);
            Ok(Checked::RecoveryCode { hash })
        }
        Shown::Passkey(answer) => {
            let used = passkeys::check_assertion(app, user_id, answer, purpose).await?;
            used.map(Checked::Passkey).ok_or(FactorError::Wrong)
        }
    }
}

async fn check_code(app: &App, user_id: &str, code: &str) -> Result<Checked, FactorError> {
    let mut connection = app.db.acquire().await?;
    let sealed = match store::draw_totp_try(&mut connection, user_id).await? {
        TotpTry::Check(sealed) => sealed,
        TotpTry::Limited { retry_after_secs } => {
            return Err(FactorError::RateLimited { retry_after_secs });
        }
        TotpTry::Absent => return Err(FactorError::Wrong),
    };
    let secret = TotpSecret::open(app, user_id, &sealed).ok_or(FactorError::Unreadable)?;
    let step = secret.step_of(code, app.clock.unix().as_secs());
    Ok(Checked::Totp {
        step: step.ok_or(FactorError::Wrong)?,
        sealed: sealed.bytes,
    })
}

/// Spends what was checked; `false` when it has been spent before.
///
/// # Errors
/// [`DbError`].
pub async fn spend(
    connection: &mut PgConnection,
    user_id: &str,
    checked: &Checked,
    request: &Value,
) -> Result<bool, DbError> {
    match checked {
        Checked::Totp { sealed, step } => store::use_totp(connection, user_id, sealed, *step).await,
        Checked::RecoveryCode { hash } => {
            store::use_recovery_code(connection, user_id, hash, request).await
        }
        Checked::Passkey(used) => passkeys::spend(connection, user_id, used).await,
    }
}

/// Why a second factor was not accepted.
#[derive(Debug)]
pub enum FactorError {
    /// It is wrong.
    Wrong,
    /// Too many wrong codes for this account.
    RateLimited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The stored secret does not open.
    Unreadable,
    /// The database.
    Db(DbError),
}

impl From<DbError> for FactorError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
