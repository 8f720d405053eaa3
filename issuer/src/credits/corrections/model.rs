//! Corrections, without database and HTTP.

use std::fmt;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::Refused;
use crate::credits::fingerprint::Fingerprint;
use crate::credits::model::{Credits, Transaction};
use crate::db::{AsRetry, DbError};

/// Which entry of which account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionId {
    account_id: i64,
    seq: i64,
}

impl TransactionId {
    /// `None` for anything that is no id of a transaction.
    pub fn parse(text: &str) -> Option<Self> {
        let (account, seq) = text.split_at_checked(ACCOUNT_DIGITS)?;
        let seq = seq.strip_prefix('-')?;
        let plain = |text: &str, is_digit: fn(&u8) -> bool| text.bytes().all(|b| is_digit(&b));
        if !plain(account, u8::is_ascii_hexdigit) || !plain(seq, u8::is_ascii_digit) {
            return None;
        }
        let id = Self {
            account_id: i64::from_str_radix(account, 16).ok()?,
            seq: seq.parse().ok()?,
        };
        (id.seq > 0).then_some(id)
    }
}

/// What is put right.
#[derive(Debug)]
pub enum Correction {
    /// Adds credits, or takes them when the amount is negative.
    Adjust {
        /// How much; never 0.
        amount: i64,
        /// Why; the user can read it.
        reason: String,
        /// When what is added lapses.
        expires_at: Option<OffsetDateTime>,
        /// By what a repeated request is known.
        key: String,
    },
    /// Gives back of a charge or capture.
    Refund {
        /// Of which.
        transaction: TransactionId,
        /// How much; all that is left when absent.
        amount: Option<Credits>,
        /// Why; the user can read it.
        reason: String,
        /// By what a repeated request is known.
        key: Option<String>,
    },
}

impl Correction {
    /// An adjustment.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub fn adjust(
        amount: i64,
        reason: String,
        expires_at: Option<OffsetDateTime>,
        key: String,
    ) -> Result<Self, String> {
        if Credits::amount(amount.saturating_abs()).is_none() {
            return Err(
                "the amount must be from 1 to 1000000000000, or that with a minus sign".into(),
            );
        }
        if expires_at.is_some() && amount < 0 {
            return Err("an expiry goes with an amount that is added".into());
        }
        let reason = checked_reason(reason)?;
        Ok(Self::Adjust {
            amount,
            reason,
            expires_at,
            key,
        })
    }

    /// A refund.
    ///
    /// # Errors
    /// In words, what is wrong.
    pub fn refund(
        transaction: TransactionId,
        amount: Option<i64>,
        reason: String,
        key: Option<String>,
    ) -> Result<Self, String> {
        let amount = amount.map(Credits::amount);
        if amount == Some(None) {
            return Err("the amount must be from 1 to 1000000000000".into());
        }
        Ok(Self::Refund {
            transaction,
            amount: amount.flatten(),
            reason: checked_reason(reason)?,
            key,
        })
    }

    /// As the database calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adjust { .. } => "adjust",
            Self::Refund { .. } => "refund",
        }
    }

    /// What it needs to know.
    pub fn arguments(&self) -> Value {
        match self {
            Self::Adjust {
                amount,
                reason,
                expires_at,
                key,
            } => {
                let expires_at = expires_at.and_then(|at| at.format(&Rfc3339).ok());
                json!({ "amount": amount, "reason": reason, "expiresAt": expires_at, "key": key })
            }
            Self::Refund {
                transaction,
                amount,
                reason,
                key,
            } => json!({
                "accountId": transaction.account_id,
                "seq": transaction.seq,
                "amount": amount.map(Credits::get),
                "reason": reason,
                "key": key,
            }),
        }
    }

    /// What its key belongs to.
    pub fn fingerprint(&self, user_id: &str) -> Fingerprint {
        let path = format!("/api/v1/admin/users/{user_id}/credits/{}", self.name());
        let arguments = self.arguments();
        let fields: Vec<(&str, Value)> = FIELDS
            .iter()
            // Numbers beyond 2^53 have no canonical form, so they count as text.
            .map(|name| (*name, arguments.get(name).map_or(Value::Null, as_text)))
            .collect();
        Fingerprint::of(self.name(), &path, &fields)
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.to_string()),
        other => other.clone(),
    }
}

fn checked_reason(reason: String) -> Result<String, String> {
    match (1..=MAX_REASON_CHARS).contains(&reason.chars().count()) && !reason.contains('\0') {
        true => Ok(reason),
        false => Err(format!(
            "the reason must be 1 to {MAX_REASON_CHARS} characters"
        )),
    }
}

/// A correction that was made, now or when its key was used before.
#[derive(Debug)]
pub struct Corrected {
    /// Its entry.
    pub transaction: Transaction,
    /// What could be spent after it.
    pub balance: Credits,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Why nothing was corrected.
#[derive(Debug)]
pub enum CorrectionError {
    /// Less than that can be taken.
    Insufficient {
        /// What can be.
        balance: Credits,
    },
    /// All of the charge has been given back.
    NothingLeft,
    /// More than is left of the charge.
    ExceedsCharge {
        /// What is left.
        left: i64,
    },
    /// The account cannot hold so much.
    AccountFull,
    /// The key belongs to another request.
    KeyReused,
    /// There is no such user or charge, or the admin may not.
    Refused(Refused),
}

impl From<DbError> for CorrectionError {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

impl AsRetry for CorrectionError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Refused(refused) if refused.is_retryable())
    }
}

impl fmt::Display for CorrectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { balance } => {
                write!(f, "only {} credits can be taken", balance.get())
            }
            Self::NothingLeft => f.write_str("all of the charge has been given back"),
            Self::ExceedsCharge { left } => write!(f, "only {left} credits of the charge are left"),
            Self::AccountFull => f.write_str("the account is full"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for CorrectionError {}

/// Every argument that a correction may have.
const FIELDS: [&str; 5] = ["amount", "reason", "expiresAt", "accountId", "seq"];
/// As long as the description of any entry may be.
const MAX_REASON_CHARS: usize = 500;
/// As `transaction_id` writes the account.
const ACCOUNT_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credits::model::transaction_id;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for (account_id, seq) in [(0, 1), (i64::MAX, i64::MAX), (0x1234, 42)] {
            let id = TransactionId::parse(&transaction_id(account_id, seq));
            assert_eq!(id, Some(TransactionId { account_id, seq }));
        }
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        for bad in [
            "",
            "1",
            "0000000000001234",
            "0000000000001234-",
            "0000000000001234-0",
            "0000000000001234--1",
            "0000000000001234-+1",
            "+000000000001234-1",
            "00000000000012g4-1",
            "ffffffffffffffff-1",
            "0000000000001234-99999999999999999999",
            "000000000000é234-1",
        ] {
            assert_eq!(TransactionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_field_counts_towards_the_fingerprint() {
        let adjust = |amount, reason: &str, expires_at| Correction::Adjust {
            amount,
            reason: reason.into(),
            expires_at,
            key: "k".into(),
        };
        let at = OffsetDateTime::UNIX_EPOCH;
        let base = adjust(5, "a", None).fingerprint("u");
        assert_eq!(base, adjust(5, "a", None).fingerprint("u"));
        for other in [
            adjust(-5, "a", None).fingerprint("u"),
            adjust(5, "b", None).fingerprint("u"),
            adjust(5, "a", Some(at)).fingerprint("u"),
            adjust(5, "a", None).fingerprint("v"),
        ] {
            assert_ne!(base, other);
        }
    }
}
