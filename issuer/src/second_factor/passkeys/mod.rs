//! Passkeys (WebAuthn): registration, signing in without a name, use as a second factor.
//!
//! 1. An authenticator must verify its user, so a passkey counts as two factors.
//! 2. What it was asked is a row: five minutes, answered once, bound to what it was asked for.
//! 3. A counter that does not grow is refused; the condition stands in the UPDATE.
//! 4. Whose passkey it is, is said by our row and confirmed by the user handle it carries.

mod api;
mod assertion;
mod begin_registration;
mod ceremony;
mod finish_registration;
mod list;
mod relying_party;
mod remove;
mod rename;
mod sign_in;
mod store;

pub use api::PasskeysApi;
pub use assertion::{
    PasskeyAnswer, Used, begin_reauthentication, begin_second_factor, check_assertion, spend,
};
pub use ceremony::{Asked, Purpose};
pub use relying_party::RelyingParty;

use crate::db::DbError;

/// Why something about passkeys was refused.
#[derive(Debug)]
pub enum PasskeyError {
    /// This issuer has no host to bind passkeys to.
    Unavailable,
    /// The asking session has ended.
    SessionEnded,
    /// The user signed in too long ago.
    Stale,
    /// The challenge is not ours, is used, expired, or was made for something else.
    ChallengeOver,
    /// The answer is not one to what was asked: wrong origin, wrong signature, no verified user.
    WrongAnswer,
    /// The credential is registered already.
    Taken,
    /// The user has as many as one can have.
    Full,
    /// There is no such passkey, or it is somebody else's.
    NotFound,
    /// No signing key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl From<DbError> for PasskeyError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// Reads what a function of the database made of a change.
fn changed(outcome: &str) -> Result<(), PasskeyError> {
    match outcome {
        "added" | "renamed" | "removed" => Ok(()),
        "ended" => Err(PasskeyError::SessionEnded),
        "stale" => Err(PasskeyError::Stale),
        "taken" => Err(PasskeyError::Taken),
        "full" => Err(PasskeyError::Full),
        "absent" => Err(PasskeyError::NotFound),
        _ => Err(DbError::Inconsistent("outcome of unknown name").into()),
    }
}
