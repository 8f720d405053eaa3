//! Mail that is due, without any input or output.

use serde_json::Value;
use time::OffsetDateTime;

/// A language mail and pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Locale {
    /// Reads a stored language; English for one we do not have.
    pub fn parse(text: &str) -> Self {
        match text {
            "de" => Self::De,
            _ => Self::En,
        }
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The first language of an `Accept-Language` header that we have. Quality values are taken
    /// as given by the order, as every browser sends them.
    pub fn from_accept_language(header: &str) -> Self {
        let tags = header.split(',').take(MAX_LANGUAGES);
        let mut languages = tags.filter_map(|tag| {
            let tag = tag.split(';').next()?.trim();
            match tag.split('-').next()?.to_ascii_lowercase().as_str() {
                "de" => Some(Self::De),
                "en" => Some(Self::En),
                _ => None,
            }
        });
        languages.next().unwrap_or_default()
    }
}

/// Which mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// Proves an address after a registration.
    VerifyEmail,
    /// Somebody registered an address that has an account.
    AlreadyRegistered,
    /// Sets a password without the old one.
    ResetPassword,
    /// The password was changed.
    PasswordChanged,
    /// Proves a new address.
    ChangeEmail,
    /// Tells the old address that another took its place.
    EmailChanged,
    /// A sign-in from a device that was never seen.
    NewDevice,
    /// A spent refresh token was shown again.
    RefreshTokenReused,
    /// Two-factor was switched on or off, or its means were changed or used up.
    TwoFactorChanged,
    /// A passkey was added.
    PasskeyAdded,
    /// Credits wait for whoever proves the address.
    GiftWaiting,
    /// Credits from somebody have arrived.
    GiftReceived,
    /// A purchase was paid.
    PurchaseReceipt,
    /// Money of a purchase went back.
    PurchaseRefunded,
    /// A payment is disputed: nothing can be spent.
    DisputeOpened,
    /// The dispute ended for us.
    DisputeWon,
    /// The dispute ended against us: the credits are gone.
    DisputeLost,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::VerifyEmail,
        Self::AlreadyRegistered,
        Self::ResetPassword,
        Self::PasswordChanged,
        Self::ChangeEmail,
        Self::EmailChanged,
        Self::NewDevice,
        Self::RefreshTokenReused,
        Self::TwoFactorChanged,
        Self::PasskeyAdded,
        Self::GiftWaiting,
        Self::GiftReceived,
        Self::PurchaseReceipt,
        Self::PurchaseRefunded,
        Self::DisputeOpened,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    /// As the outbox names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::AlreadyRegistered => "already_registered",
            Self::ResetPassword => "reset_password",
            Self::PasswordChanged => "password_changed",
            Self::ChangeEmail => "change_email",
            Self::EmailChanged => "email_changed",
            Self::NewDevice => "new_device",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::TwoFactorChanged => "two_factor_changed",
            Self::PasskeyAdded => "passkey_added",
            Self::GiftWaiting => "gift_waiting",
            Self::GiftReceived => "gift_received",
            Self::PurchaseReceipt => "purchase_receipt",
            Self::PurchaseRefunded => "purchase_refunded",
            Self::DisputeOpened => "dispute_opened",
            Self::DisputeWon => "dispute_won",
            Self::DisputeLost => "dispute_lost",
        }
    }

    /// Whether it is about a gift.
    pub fn is_about_gift(self) -> bool {
        matches!(self, Self::GiftWaiting | Self::GiftReceived)
    }

    /// Reads what the outbox names.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|template| template.name() == name)
    }
}

/// A mail that this issuer has leased.
#[derive(Debug)]
pub struct DueMail {
    /// Its row in the outbox.
    pub id: i64,
    /// Which mail.
    pub template: String,
    /// This try, from 1.
    pub attempt: i32,
    /// When the act happened.
    pub created_at: OffsetDateTime,
    /// To whom.
    pub recipient: String,
    /// What they want to be called.
    pub name: Option<String>,
    /// Their language.
    pub locale: String,
    /// The token of the link in it.
    pub token_id: Option<String>,
    /// The address that is to take the place of the old one.
    pub new_email: Option<String>,
    /// What the device is called.
    pub device_name: Option<String>,
    /// What signed in.
    pub user_agent: Option<String>,
    /// Where from.
    pub ip_address: Option<String>,
    /// When the device signed in.
    pub happened_at: OffsetDateTime,
    /// What was changed about the second factor, or the gift that the mail is about.
    pub change: Option<String>,
    /// What it is about, beyond its recipient.
    pub facts: Option<Value>,
    /// False when the link in it was used or has run out.
    pub wanted: bool,
}

/// A header with more languages is not a reader's choice.
const MAX_LANGUAGES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_we_have_is_taken() {
        for (header, expected) in [
            ("de-DE,de;q=0.9,en;q=0.8", Locale::De),
            ("DE", Locale::De),
            ("en-GB, de", Locale::En),
            ("fr, de;q=0.5", Locale::De),
            ("fr", Locale::En),
            ("", Locale::En),
            (",,;;--", Locale::En),
            ("deutsch", Locale::En),
        ] {
            assert_eq!(Locale::from_accept_language(header), expected, "{header}");
        }
    }

    #[test]
    fn templates_are_read_as_they_are_named() {
        for template in Template::ALL {
            assert_eq!(Template::parse(template.name()), Some(template));
        }
        assert_eq!(Template::parse("VERIFY_EMAIL"), None);
    }
}
