//! Events, seals and checkpoints, without any input or output.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::clock::rfc3339;
use crate::secret::base64url;

/// What the chain covers of an event.
#[derive(Debug, Clone)]
pub struct SealedEvent {
    /// Its id.
    pub id: i64,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// What happened.
    pub kind: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// `user`, `admin`, `service`, `system` or `anonymous`.
    pub actor_kind: String,
    /// Who did it.
    pub actor_id: Option<String>,
    /// `user` or `session`.
    pub target_kind: Option<String>,
    /// To what.
    pub target_id: Option<String>,
    /// Whose event it is.
    pub user_id: Option<String>,
    /// In which session.
    pub session_id: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Over the personal details and their salt.
    pub details_digest: Vec<u8>,
}

/// A link of the chain with what it covers.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub seq: i64,
    /// The event it names.
    pub event_id: i64,
    /// Its code.
    pub mac: Vec<u8>,
    /// Which `MASTER_KEY` made it.
    pub master_key_version: i32,
    /// The event; `None` when it is gone.
    pub event: Option<SealedEvent>,
    /// Whether the details are those of then; `None` when they have been erased.
    pub details_intact: Option<bool>,
}

/// How far the chain had come, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// The last number.
    pub seq: i64,
    /// Its code, in hexadecimal.
    pub mac: String,
    /// Which `MASTER_KEY` signed it.
    pub master_key_version: i32,
    /// When, Unix microseconds.
    pub signed_at: i64,
    /// Over all of these, in hexadecimal.
    pub signature: String,
}

/// An event as its user, or an admin, reads it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: i64,
    /// What happened.
    pub kind: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// Who: `user`, `admin`, `service`, `system` or `anonymous`.
    pub actor_kind: String,
    /// Their id.
    pub actor_id: Option<String>,
    /// `user` or `session`.
    pub target_kind: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// Whose event it is.
    pub user_id: Option<String>,
    /// Where from.
    pub ip_address: Option<String>,
    /// With what.
    pub user_agent: Option<String>,
    /// In which session.
    pub session_id: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// What else is known.
    pub details: Value,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How many events were recomputed.
    pub verified: i64,
    /// How many of them have had their details erased.
    pub erased: i64,
    /// How many checkpoints were compared.
    pub checkpoints: i64,
    /// Events of the last moments that are not in the chain yet.
    pub unsealed: i64,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
}

/// Something that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Where in the chain.
    pub seq: i64,
    /// Which event; `None` when only the place is known.
    pub event_id: Option<i64>,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The event is not what was sealed, or its seal is not ours.
    Changed,
    /// The event is gone.
    Deleted,
    /// A link of the chain is gone.
    SealDeleted,
    /// The details are not those that were sealed.
    DetailsChanged,
    /// The chain ends before a checkpoint.
    CutOff,
    /// The chain at a checkpoint is not the one that was signed.
    Rewritten,
    /// A checkpoint's signature is not ours.
    CheckpointForged,
    /// It was sealed under a master key that is not set.
    UnknownMasterKey,
    /// Events were put where the sealer does not look.
    Overlooked,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.event_id {
            Some(id) => write!(
                f,
                "event {id} (number {} of the chain) {}",
                self.seq,
                self.kind.words()
            ),
            None => write!(f, "number {} of the chain {}", self.seq, self.kind.words()),
        }
    }
}

impl FaultKind {
    fn words(self) -> &'static str {
        match self {
            Self::Changed => "has been changed",
            Self::Deleted => "has been deleted",
            Self::SealDeleted => "is missing",
            Self::DetailsChanged => "has other details than those that were sealed",
            Self::CutOff => "is in a signed checkpoint, but the chain ends before it",
            Self::Rewritten => "is not what a signed checkpoint says",
            Self::CheckpointForged => "has a checkpoint that was not signed by this issuer",
            Self::UnknownMasterKey => {
                "was sealed under another MASTER_KEY: set that one as MASTER_KEY_PREVIOUS"
            }
            Self::Overlooked => "precedes events that were never sealed although they are old",
        }
    }
}

/// Lower-case hexadecimal, which a person can compare by eye.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes of lower-case hexadecimal; `None` for anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let fits = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    fits.then(|| (0..digits.len()).step_by(2).map(pair).collect())?
}

/// The cursor of the page after this event.
pub fn cursor(id: i64) -> String {
    base64url(&id.to_be_bytes())
}

/// The event that a cursor names; `None` when it is not one of ours.
pub fn parse_cursor(text: &str) -> Option<i64> {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let mut bytes = [0; 8];
    let decoded = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
    (decoded.len() == 8)
        .then(|| i64::from_be_bytes(bytes))
        .filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_comes_back_and_anything_else_is_refused() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        for bad in ["0", "zz", "0x", "é0", " 00", "+1"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn cursors_come_back_and_anything_else_is_refused() {
        assert_eq!(parse_cursor(&cursor(7)), Some(7));
        for bad in ["", "7", "AAAAAAAAAAA", "AAAAAAAAAAAA", "//////////8"] {
            assert_eq!(parse_cursor(bad), None, "{bad}");
        }
    }
}
