//! Users as admins see them, and what may be done with them.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::{rfc3339, rfc3339_option};
use crate::db::{AsRetry, DbError};

/// A user as admins and operators see one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserListing {
    /// Opaque id.
    pub id: String,
    /// What one signs in with.
    pub email: String,
    /// What one is called.
    pub name: Option<String>,
    /// `user` or `admin`.
    pub role: String,
    /// `active`, `banned`, `deleted` or `erased`.
    pub status: String,
    /// Why banned.
    pub status_reason: Option<String>,
    /// Until when banned; for good when absent.
    #[serde(serialize_with = "rfc3339_option")]
    pub status_until: Option<OffsetDateTime>,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// Whether a second factor is asked for.
    pub two_factor_enabled: bool,
    /// The language of mail.
    pub locale: String,
    /// Live sessions.
    pub n_sessions: i64,
    /// When the account was made.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was deleted.
    #[serde(serialize_with = "rfc3339_option")]
    pub deleted_at: Option<OffsetDateTime>,
    /// When it is erased for good.
    #[serde(serialize_with = "rfc3339_option")]
    pub erase_after: Option<OffsetDateTime>,
}

/// Something done with somebody's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Nobody signs in to it, and who is signed in is not any more.
    Ban {
        /// Why; the person may read it in their events.
        reason: String,
        /// Until when; for good when absent.
        until: Option<OffsetDateTime>,
    },
    /// Ends a ban.
    Unban,
    /// Gives or takes the role of an admin.
    SetRole(String),
    /// The password is void, everybody is signed out; a new one is set by mail.
    ForcePasswordReset,
    /// Signs the person out everywhere.
    RevokeSessions,
    /// Deletes it softly; it is erased after 30 days.
    Delete,
    /// Takes a deletion back.
    Restore,
    /// Takes off one-time and recovery codes that the owner has lost. For the operator only.
    ResetTwoFactor,
}

impl Act {
    /// As the database calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ban { .. } => "ban",
            Self::Unban => "unban",
            Self::SetRole(_) => "set_role",
            Self::ForcePasswordReset => "force_password_reset",
            Self::RevokeSessions => "revoke_sessions",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::ResetTwoFactor => "reset_two_factor",
        }
    }

    /// What it needs to know.
    pub fn arguments(&self) -> Value {
        match self {
            Self::Ban { reason, until } => {
                let until = until.and_then(|at| at.format(&Rfc3339).ok());
                json!({ "reason": reason, "until": until })
            }
            Self::SetRole(role) => json!({ "role": role }),
            Self::Unban
            | Self::ForcePasswordReset
            | Self::RevokeSessions
            | Self::Delete
            | Self::Restore
            | Self::ResetTwoFactor => json!({}),
        }
    }
}

/// Which users.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Part of an address or a name, or an id.
    pub query: Option<String>,
    /// Only these.
    pub status: Option<String>,
    /// Only these.
    pub role: Option<String>,
}

/// Why an admin's act was not done.
#[derive(Debug)]
pub enum Refused {
    /// Whoever asks is not an admin, or acts in somebody's place.
    Forbidden,
    /// Their session has ended.
    Ended,
    /// They signed in too long ago.
    Stale,
    /// There is no such user, app or credential.
    NotFound,
    /// Nobody would be left to administer.
    LastAdmin,
    /// There is nothing to do, or something is in the way.
    Conflict,
    /// An admin cannot act in another admin's place.
    TargetIsAdmin,
    /// No signing key has been loaded yet.
    NoSigningKey,
    /// The database.
    Db(DbError),
}

impl Refused {
    /// Reads the outcome of an act.
    ///
    /// # Errors
    /// Every outcome but `done`.
    pub fn unless_done(outcome: &str) -> Result<(), Self> {
        Err(match outcome {
            "done" => return Ok(()),
            "forbidden" => Self::Forbidden,
            "ended" => Self::Ended,
            "stale" => Self::Stale,
            "not_found" => Self::NotFound,
            "last_admin" => Self::LastAdmin,
            "conflict" => Self::Conflict,
            "is_admin" => Self::TargetIsAdmin,
            _ => Self::Db(DbError::Inconsistent("unknown outcome of an admin's act")),
        })
    }

    /// Reads the standing of an admin who only looks.
    ///
    /// # Errors
    /// [`Self::Forbidden`] or [`Self::Ended`].
    pub fn unless_admin(standing: &str) -> Result<(), Self> {
        match standing {
            "fresh" | "stale" => Ok(()),
            other => Self::unless_done(other),
        }
    }
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl AsRetry for Refused {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("not an admin"),
            Self::Ended => f.write_str("the session has ended"),
            Self::Stale => f.write_str("a recent sign-in is needed"),
            Self::NotFound => f.write_str("there is no such user, app or credential"),
            Self::LastAdmin => f.write_str("nobody would be left to administer"),
            Self::Conflict => f.write_str("there is nothing to do, or something is in the way"),
            Self::TargetIsAdmin => f.write_str("the user is an admin"),
            Self::NoSigningKey => f.write_str("no signing key is loaded"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}
