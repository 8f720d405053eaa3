//! Deliveries, without any input or output.

use serde::{Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;

use crate::clock::{rfc3339, rfc3339_option};

/// A delivery that this issuer has leased.
#[derive(Debug)]
pub struct DueWebhook {
    /// Its row.
    pub id: i64,
    /// Who is told.
    pub app_id: String,
    /// What the receiver knows a repetition by.
    pub event_id: String,
    /// What is signed and sent.
    pub body: String,
    /// This attempt, from 1.
    pub attempt: i32,
    /// Where to; none when the app does not listen any more.
    pub url: Option<String>,
    /// The sealed secret.
    pub secret: Option<Vec<u8>>,
    /// The sealed one before, while it still signs.
    pub previous_secret: Option<Vec<u8>>,
}

/// A delivery as admins and operators see one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryListing {
    /// Opaque id.
    #[serde(serialize_with = "as_text")]
    pub id: i64,
    /// Who is told.
    pub app_id: String,
    /// `webhook-id`.
    pub event_id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Attempts since it was made or replayed.
    pub attempts: i32,
    /// When it happened.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it is tried next; none once it has ended.
    #[serde(serialize_with = "rfc3339_option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When it was last tried.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_attempt_at: Option<OffsetDateTime>,
    /// What the receiver answered last.
    pub last_status: Option<i32>,
    /// Why the last attempt did not succeed, in one word.
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    #[serde(serialize_with = "rfc3339_option")]
    pub ended_at: Option<OffsetDateTime>,
    /// What is sent.
    pub payload: Value,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be sent.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Given up; can be replayed.
    Dead,
}

impl DeliveryState {
    /// As the database calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// What apps are told of. The triggers of the database name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// A test, asked for by an admin.
    Ping,
    /// A purchase was paid and its credits added.
    PurchasePaid,
    /// Money of a purchase went back.
    PurchaseRefunded,
    /// A refund did not arrive: the purchase counts again.
    PurchaseRefundFailed,
    /// A payment failed.
    PurchaseFailed,
    /// Nothing can be spent from an account any more.
    CreditsFrozen,
    /// It can again.
    CreditsUnfrozen,
    /// A user may not sign in.
    UserBanned,
    /// They may again.
    UserUnbanned,
    /// A user was deleted and will be erased.
    UserDeleted,
    /// The deletion was taken back.
    UserRestored,
    /// What was personal is gone.
    UserErased,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Ping,
        Self::PurchasePaid,
        Self::PurchaseRefunded,
        Self::PurchaseRefundFailed,
        Self::PurchaseFailed,
        Self::CreditsFrozen,
        Self::CreditsUnfrozen,
        Self::UserBanned,
        Self::UserUnbanned,
        Self::UserDeleted,
        Self::UserRestored,
        Self::UserErased,
    ];

    /// Its name in a body.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::PurchasePaid => "purchase.paid",
            Self::PurchaseRefunded => "purchase.refunded",
            Self::PurchaseRefundFailed => "purchase.refund_failed",
            Self::PurchaseFailed => "purchase.failed",
            Self::CreditsFrozen => "credits.frozen",
            Self::CreditsUnfrozen => "credits.unfrozen",
            Self::UserBanned => "user.banned",
            Self::UserUnbanned => "user.unbanned",
            Self::UserDeleted => "user.deleted",
            Self::UserRestored => "user.restored",
            Self::UserErased => "user.erased",
        }
    }

    /// The type of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The one of this id.
    pub id: Option<i64>,
    /// To this app.
    pub app_id: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this type.
    pub kind: Option<EventType>,
}

/// Something done with deliveries.
#[derive(Debug, Clone)]
pub enum WebhookAct {
    /// Sends one again.
    Replay {
        /// Which.
        delivery_id: i64,
    },
    /// Sends again what was given up.
    ReplayDead {
        /// Of which app.
        app_id: String,
    },
    /// Sends a test.
    Ping {
        /// To which app.
        app_id: String,
    },
}

impl WebhookAct {
    /// As the database calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::ReplayDead { .. } => "replay_dead",
            Self::Ping { .. } => "ping",
        }
    }

    /// Which app it is about.
    pub fn app_id(&self) -> Option<&str> {
        match self {
            Self::Replay { .. } => None,
            Self::ReplayDead { app_id } | Self::Ping { app_id } => Some(app_id),
        }
    }

    /// Which delivery it is about.
    pub fn delivery_id(&self) -> Option<i64> {
        match self {
            Self::Replay { delivery_id } => Some(*delivery_id),
            Self::ReplayDead { .. } | Self::Ping { .. } => None,
        }
    }
}

/// What an act did.
#[derive(Debug)]
pub struct Acted {
    /// `done`, or why not.
    pub outcome: String,
    /// How many are sent again.
    pub n_replayed: Option<i64>,
    /// The delivery that was replayed or made.
    pub delivery_id: Option<i64>,
}

/// Ids are text to whoever reads them.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// How many deliveries may wait for one app. A receiver that is away for a day misses a few
/// thousand events of a busy installation; what waits beyond that is a receiver nobody looks after.
pub(super) const MAX_WAITING_PER_APP: i32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_are_read_as_they_are_named() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.name()), Some(kind));
        }
        assert_eq!(EventType::parse("user.created"), None);
    }
}
