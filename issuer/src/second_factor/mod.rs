//! Second factors: one-time codes, recovery codes, passkeys; the step between password and
//! session; signing in again before a sensitive act.
//!
//! 1. A time step that was used is refused for ever; the condition stands in the UPDATE.
//! 2. A try is counted before the code is looked at, so parallel guesses are all counted.
//! 3. The secret of one-time codes is sealed with the user id; recovery codes are stored hashed
//!    and shown once.
//! 4. A challenge is one row: five attempts, five minutes, used once, bound to the version of the
//!    credentials that was checked. Its token authenticates itself; garbage costs no query.
//! 5. What an authenticator was asked is kept here, never by the client, and is answered once.
//! 6. Setting up and removing needs a session whose user signed in within ten minutes.

mod api;
mod begin_login;
mod begin_totp;
mod challenge_token;
mod confirm_totp;
mod disable_totp;
mod factor;
mod finish_login;
pub mod passkeys;
mod read_state;
mod reauthenticate;
mod recovery_code;
mod replace_recovery_codes;
mod reseal;
mod store;
mod sweep;
mod totp;

pub use api::{OptionsView, SecondFactorApi};
pub use begin_login::{LoginChallenge, begin_login};
pub use challenge_token::ChallengeTokens;
pub use reseal::reseal;
pub use sweep::sweep;

use crate::db::DbError;

/// Why a change of second factors was refused.
#[derive(Debug)]
pub enum ChangeError {
    /// The asking session has ended.
    SessionEnded,
    /// The user signed in too long ago.
    Stale,
    /// Two-factor is on already.
    AlreadyOn,
    /// There is nothing to change.
    NotOn,
    /// The code is wrong.
    WrongCode,
    /// A stored secret does not open.
    Unreadable,
    /// The database.
    Db(DbError),
}

impl From<DbError> for ChangeError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// Reads what a function of the database made of a change.
fn changed(outcome: &str) -> Result<(), ChangeError> {
    match outcome {
        "begun" | "confirmed" | "disabled" | "replaced" => Ok(()),
        "ended" => Err(ChangeError::SessionEnded),
        "stale" => Err(ChangeError::Stale),
        "on" => Err(ChangeError::AlreadyOn),
        "absent" => Err(ChangeError::NotOn),
        _ => Err(DbError::Inconsistent("outcome of unknown name").into()),
    }
}
