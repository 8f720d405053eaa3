//! Gifts, without database and HTTP.

use serde_json::json;
use time::OffsetDateTime;

use crate::accounts::Email;
use crate::credits::fingerprint::Fingerprint;
use crate::credits::model::{Credits, find_name};

/// Whether the user gave it or got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Given by the user.
    Made,
    /// Taken by the user.
    Received,
}

impl Direction {
    /// Both with their names in the database.
    const NAMES: [(Self, &'static str); 2] = [(Self::Made, "made"), (Self::Received, "received")];

    /// Reads a name; `None` for anything unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        find_name(&Self::NAMES, name)
    }

    /// As the database calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Received => "received",
        }
    }
}

/// What a gift has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiftStatus {
    /// Nobody has taken it yet.
    Waiting,
    /// Somebody has.
    Redeemed,
    /// The giver took it back.
    Cancelled,
    /// Its time was over and it went back.
    Expired,
}

impl GiftStatus {
    /// Every status with its name in the database.
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Waiting, "waiting"),
        (Self::Redeemed, "redeemed"),
        (Self::Cancelled, "cancelled"),
        (Self::Expired, "expired"),
    ];

    /// Reads a name; `None` for anything unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        find_name(&Self::NAMES, name)
    }
}

/// A gift as its giver or its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gift {
    /// Its id.
    pub id: String,
    /// Given or got.
    pub direction: Direction,
    /// How much.
    pub amount: Credits,
    /// To whom, for the giver.
    pub recipient_email: Option<String>,
    /// From whom, for the receiver.
    pub giver_name: Option<String>,
    /// What the giver says.
    pub message: Option<String>,
    /// What it has come to.
    pub status: GiftStatus,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Until when it can be taken.
    pub expires_at: OffsetDateTime,
    /// When it was taken or went back.
    pub ended_at: Option<OffsetDateTime>,
}

/// What somebody wants to give.
#[derive(Debug)]
pub struct Wish {
    /// How much.
    pub amount: Credits,
    /// To whom; anybody with the code when absent.
    pub recipient: Option<Email>,
    /// What they say.
    pub message: Option<String>,
    /// Until when it can be taken; `None` for the usual time.
    pub expires_at: Option<OffsetDateTime>,
}

impl Wish {
    /// What an idempotency key belongs to.
    pub fn fingerprint(&self) -> Fingerprint {
        let expires_at = self.expires_at.map(OffsetDateTime::unix_timestamp_nanos);
        let fields = [
            ("amount", json!(self.amount.get())),
            (
                "recipientEmail",
                json!(self.recipient.as_ref().map(Email::as_str)),
            ),
            ("message", json!(self.message)),
            ("expiresAt", json!(expires_at.map(|at| at.to_string()))),
        ];
        Fingerprint::of("create_gift", "/api/v1/credits/gifts", &fields)
    }
}

/// What a mail about a gift says.
#[derive(Debug, Clone)]
pub struct GiftMail {
    /// How much.
    pub amount: i64,
    /// What the giver is called.
    pub giver_name: Option<String>,
    /// What they say.
    pub message: Option<String>,
    /// Until when it can be taken.
    pub expires_at: OffsetDateTime,
}
