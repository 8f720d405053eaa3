//! Spend limits, without database and HTTP.

use time::OffsetDateTime;

use crate::credits::model::find_name;

/// What a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl Period {
    /// Both with their names in the database.
    const NAMES: [(Self, &'static str); 2] = [(Self::Day, "day"), (Self::Month, "month")];

    /// Reads a name; `None` for anything unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        find_name(&Self::NAMES, name)
    }

    /// As the API and the database call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// The limit that a request would exceed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// Which one.
    pub period: Period,
    /// How much may be spent.
    pub limit: i64,
    /// How much counts already.
    pub used: i64,
    /// When it begins anew.
    pub resets_at: OffsetDateTime,
}

/// A limit, or that there is none, and what counts towards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLimit {
    /// Of a day or a month.
    pub period: Period,
    /// The one in force.
    pub limit: Option<i64>,
    /// How much counts.
    pub used: i64,
    /// When it begins anew.
    pub resets_at: OffsetDateTime,
    /// What the user set.
    pub set_by_user: Option<i64>,
    /// What an admin set for the user.
    pub set_by_admin: Option<i64>,
    /// What the app has for everybody.
    pub set_by_app: Option<i64>,
}

/// The limits of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLimits {
    /// The app.
    pub app_id: String,
    /// A day's.
    pub day: SpendLimit,
    /// A month's.
    pub month: SpendLimit,
}

/// Limits to be set; `None` takes one away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLimits {
    /// For a day.
    pub day: Option<i64>,
    /// For a month.
    pub month: Option<i64>,
}
