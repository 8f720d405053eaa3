//! What the ledger speaks of, without database and HTTP.

use serde_json::Value;
use time::OffsetDateTime;

use super::fingerprint::Fingerprint;

/// A whole number of credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credits(i64);

impl Credits {
    /// A quantity the database vouches for.
    pub fn of(number: i64) -> Self {
        Self(number)
    }

    /// The amount of a request; `None` unless it is from 1 to 10^12.
    pub fn amount(number: i64) -> Option<Self> {
        (1..=MAX_AMOUNT).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

/// The program that credits are spent in, as it calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppId(String);

impl AppId {
    /// `None` unless it is 1 to 64 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_APP_ID_BYTES).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The principal behind a request. Keys of one never meet those of another, nor those of the
/// system, whose scope cannot be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(String);

impl Principal {
    /// A signed-in user.
    pub fn user(user_id: &str) -> Self {
        Self(format!("user:{user_id}"))
    }

    /// A service of an app.
    pub fn service(credential_id: &str) -> Self {
        Self(format!("service:{credential_id}"))
    }

    /// How the ledger writes it.
    pub fn scope(&self) -> &str {
        &self.0
    }
}

/// By what a request is recognized when it comes again.
#[derive(Debug)]
pub struct RequestKey<'a> {
    /// Who asks.
    pub principal: Principal,
    /// The key they chose.
    pub key: Option<&'a str>,
    /// What they asked for.
    pub fingerprint: Fingerprint,
}

/// What an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// What can be spent now, free credits included.
    pub available: Credits,
    /// What of it was free: daily, signup and gift credits.
    pub free_remaining: Credits,
    /// Reserved by open holds.
    pub held: Credits,
    /// All credits ever added.
    pub total_earned: Credits,
    /// All credits ever spent, less what was given back.
    pub total_spent: Credits,
}

/// Why credits moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Bought.
    Purchase,
    /// Spent.
    Usage,
    /// Given back: to the user after a usage, or by the user after a purchase.
    Refund,
    /// Given to or by somebody.
    Gift,
    /// Signup bonus.
    Bonus,
    /// Daily free credits.
    Daily,
    /// Lapsed.
    Expiry,
    /// Put right by an operator.
    Adjustment,
}

impl EntryKind {
    /// All of them.
    const ALL: [Self; 8] = [
        Self::Purchase,
        Self::Usage,
        Self::Refund,
        Self::Gift,
        Self::Bonus,
        Self::Daily,
        Self::Expiry,
        Self::Adjustment,
    ];

    /// Reads a name; `None` for anything unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As the database calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Usage => "usage",
            Self::Refund => "refund",
            Self::Gift => "gift",
            Self::Bonus => "bonus",
            Self::Daily => "daily",
            Self::Expiry => "expiry",
            Self::Adjustment => "adjustment",
        }
    }
}

/// A ledger entry as its user sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// Unique among all accounts.
    pub id: String,
    /// Its number in the account; pages continue from it.
    pub seq: i64,
    /// Why.
    pub kind: EntryKind,
    /// How much; negative when spent or lapsed.
    pub amount: Credits,
    /// All credits of the account after it, held ones included.
    pub balance_after: Credits,
    /// In which program.
    pub app_id: Option<String>,
    /// What for, in the program's words.
    pub description: Option<String>,
    /// What the program added.
    pub metadata: Option<Value>,
    /// When.
    pub created_at: OffsetDateTime,
}

/// The id of an entry: account and number, which nobody needs to take apart.
pub fn transaction_id(account_id: i64, seq: i64) -> String {
    format!("{account_id:016x}-{seq}")
}

/// Something that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How many credits it holds.
    pub credits: i64,
    /// What it costs, in hundredths of the currency.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether it can be bought now.
    pub active: bool,
}

/// Something that was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// Its id.
    pub id: String,
    /// The package.
    pub package_id: String,
    /// How many credits it brought.
    pub credits: i64,
    /// What it cost, in hundredths of the currency.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// `pending`, `expired`, `failed`, `paid` or `refunded`.
    pub status: String,
    /// What was refunded of the price.
    pub refunded_cents: i64,
    /// Credits that were taken back, or are owed.
    pub credits_taken_back: i64,
    /// Whether the payment is or was disputed: `open`, `won` or `lost`.
    pub dispute: Option<String>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
}

/// Reads a name that the database uses; `None` for anything unknown.
pub fn find_name<T: Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(value, _)| *value)
}

/// A trillion credits is ten billion euros by default, and far below what sums can hold.
const MAX_AMOUNT: i64 = 1_000_000_000_000;
/// As long as the id of a registered app may be.
const MAX_APP_ID_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_run_from_one_to_a_trillion() {
        for good in [1, 2, 1_000_000_000_000] {
            assert_eq!(Credits::amount(good).map(Credits::get), Some(good));
        }
        for bad in [0, -1, 1_000_000_000_001, i64::MAX, i64::MIN] {
            assert_eq!(Credits::amount(bad), None, "{bad}");
        }
    }

    #[test]
    fn app_ids_are_visible_ascii_of_bounded_length() {
        for good in ["a", "my-app", "~!", &"a".repeat(64)] {
            assert!(AppId::parse(good).is_some(), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "\u{7f}", "a\n", &"a".repeat(65)] {
            assert!(AppId::parse(bad).is_none(), "{bad:?}");
        }
    }
}
