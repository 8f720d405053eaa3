//! Holds, without database and HTTP.

use time::OffsetDateTime;

use crate::credits::model::{Credits, find_name};

/// What a hold has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldStatus {
    /// Reserves credits.
    Open,
    /// Spent, wholly or with the rest released.
    Captured,
    /// Given back.
    Released,
    /// Ended by time.
    Expired,
}

impl HoldStatus {
    /// Every status with its name in the database.
    const NAMES: [(Self, &'static str); 4] = [
        (Self::Open, "open"),
        (Self::Captured, "captured"),
        (Self::Released, "released"),
        (Self::Expired, "expired"),
    ];

    /// Reads a name; `None` for anything unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        find_name(&Self::NAMES, name)
    }
}

/// Credits reserved for a request that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// How much was reserved.
    pub amount: Credits,
    /// How much of it has been spent.
    pub captured: Credits,
    /// What it has come to.
    pub status: HoldStatus,
    /// In which program.
    pub app_id: String,
    /// When it was placed.
    pub created_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

/// The id of a hold; what does not have its form cannot name one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldId(String);

impl HoldId {
    /// `None` unless it has the form of our ids.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        (text.len() == HOLD_ID_BYTES && text.bytes().all(ours)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 128 bits in base64url.
const HOLD_ID_BYTES: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hold_ids_have_one_form() {
        assert!(HoldId::parse("AZaz09_-AZaz09_-AZaz09").is_some());
        for bad in [
            "",
            "short",
            "AZaz09_-AZaz09_-AZaz0\0",
            "AZaz09_-AZaz09_-AZaz09x",
        ] {
            assert!(HoldId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
