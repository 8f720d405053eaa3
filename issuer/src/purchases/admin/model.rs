//! Packages, purchases and reports as admins see them, without any input or output.

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::clock::{rfc3339, rfc3339_option};

/// A package, on offer or not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageListing {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How many credits it holds.
    pub credits: i64,
    /// What it costs, in the smallest unit of the currency.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether it can be bought now.
    pub active: bool,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// What can be set of a package.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageFields {
    /// What it is called.
    pub name: String,
    /// How many credits it holds.
    pub credits: i64,
    /// What it costs, in the smallest unit of the currency.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

impl From<PackageListing> for PackageFields {
    fn from(package: PackageListing) -> Self {
        Self {
            name: package.name,
            credits: package.credits,
            price_cents: package.price_cents,
            currency: package.currency,
        }
    }
}

impl PackageFields {
    /// Every field that is wrong, with what would be right.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let name_fits = (1..=MAX_NAME_CHARS).contains(&self.name.chars().count())
            && self.name.trim() == self.name
            && !self.name.chars().any(char::is_control);
        let currency_fits =
            self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase());
        let checks = [
            (
                name_fits,
                "name",
                "must be a string of 1 to 100 characters without spaces around it",
            ),
            (
                (1..=MAX_CREDITS).contains(&self.credits),
                "credits",
                "must be a whole number from 1 to 1000000000000",
            ),
            (
                (1..=MAX_PRICE_CENTS).contains(&self.price_cents),
                "priceCents",
                "must be a whole number from 1 to 99999999",
            ),
            (
                currency_fits,
                "currency",
                "must be three capital letters (ISO 4217), such as EUR",
            ),
        ];
        let wrong = checks.into_iter().filter(|(fits, ..)| !fits);
        wrong.map(|(_, field, words)| (field, words)).collect()
    }
}

/// Whether it can name a package.
pub fn is_package_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_ID_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether it can name anything here, of ours or of Stripe's.
pub fn is_known_form(text: &str) -> bool {
    text.len() <= MAX_STRIPE_ID_BYTES && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Something done with a package.
#[derive(Debug, Clone)]
pub enum PackageAct {
    /// Makes it, on offer at once.
    Create(PackageFields),
    /// Sets all its fields. What was bought before keeps its own.
    Update(PackageFields),
    /// Offers it.
    Activate,
    /// Takes it off.
    Deactivate,
    /// Removes it, unless somebody has begun to buy it.
    Delete,
}

impl PackageAct {
    /// As the database calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
        }
    }

    /// What is set.
    pub fn fields(&self) -> Value {
        match self {
            Self::Create(fields) | Self::Update(fields) => json!(fields),
            Self::Activate | Self::Deactivate | Self::Delete => json!({}),
        }
    }
}

/// Something done about a purchase or a report.
#[derive(Debug, Clone, Copy)]
pub enum PurchaseAct {
    /// Applies a report again that was refused or given up.
    ReplayEvent,
    /// Says that nothing more is to be done about such a report.
    DismissEvent,
    /// Ends what the disputes of a purchase have frozen.
    LiftFreeze,
}

impl PurchaseAct {
    /// As the database calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReplayEvent => "replay_event",
            Self::DismissEvent => "dismiss_event",
            Self::LiftFreeze => "lift_freeze",
        }
    }
}

/// A purchase of anybody's.
#[derive(Debug, Clone)]
pub struct PurchaseListing {
    /// Its id.
    pub id: String,
    /// Who bought.
    pub user_id: Option<String>,
    /// The package.
    pub package_id: String,
    /// How many credits it brings.
    pub credits: i64,
    /// What it costs.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// `pending`, `expired`, `failed`, `paid` or `refunded`.
    pub status: String,
    /// What was refunded.
    pub refunded_cents: i64,
    /// Credits that were taken back, or are owed.
    pub credits_taken_back: i64,
    /// `open`, `won` or `lost`.
    pub dispute: Option<String>,
    /// Why a payment was not accepted.
    pub problem: Option<String>,
    /// The payment at Stripe.
    pub payment_id: Option<String>,
    /// The checkout at Stripe.
    pub checkout_session_id: Option<String>,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was paid.
    pub paid_at: Option<OffsetDateTime>,
}

/// A report of Stripe.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventListing {
    /// Its id at Stripe.
    pub id: String,
    /// What kind of report.
    #[serde(rename = "type")]
    pub kind: String,
    /// `waiting`, `applied`, `ignored`, `refused` or `dead`.
    pub state: String,
    /// What came of it.
    pub outcome: Option<String>,
    /// The object at Stripe.
    pub object_id: Option<String>,
    /// The payment at Stripe.
    pub payment_id: Option<String>,
    /// The purchase it names.
    pub purchase_id: Option<String>,
    /// How often it came.
    pub n_deliveries: i32,
    /// How often it was tried.
    pub attempts: i32,
    /// What stopped the last attempt.
    pub last_error_code: Option<String>,
    /// When Stripe made it.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it came.
    #[serde(serialize_with = "rfc3339")]
    pub received_at: OffsetDateTime,
    /// When it was done with.
    #[serde(serialize_with = "rfc3339_option")]
    pub done_at: Option<OffsetDateTime>,
    /// When it is tried next.
    #[serde(serialize_with = "rfc3339_option")]
    pub next_attempt_at: Option<OffsetDateTime>,
}

const MAX_NAME_CHARS: usize = 100;
const MAX_CREDITS: i64 = 1_000_000_000_000;
/// Stripe takes eight digits.
const MAX_PRICE_CENTS: i64 = 99_999_999;
const MAX_ID_BYTES: usize = 64;
/// As long as an id of Stripe's may be here.
const MAX_STRIPE_ID_BYTES: usize = 200;
