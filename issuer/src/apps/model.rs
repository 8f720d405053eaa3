//! Apps and service credentials, without any input or output.

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::{rfc3339, rfc3339_option};
use crate::outgoing::{Reach, origin_problem, webhook_url_problem};

/// An app as admins and operators see one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppListing {
    /// What it calls itself when it spends.
    pub app_id: String,
    /// What people call it.
    pub name: String,
    /// Audiences of tokens for it.
    pub audiences: Vec<String>,
    /// Where people may be sent back to.
    pub return_origins: Vec<String>,
    /// Credits one user may spend in it a day.
    pub spend_limit_day: Option<i64>,
    /// Credits one user may spend in it a month.
    pub spend_limit_month: Option<i64>,
    /// Where it hears of events.
    pub webhook_url: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Since when it is disabled.
    #[serde(serialize_with = "rfc3339_option")]
    pub disabled_at: Option<OffsetDateTime>,
}

/// What can be set of an app.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppFields {
    /// What people call it.
    pub name: String,
    /// Audiences of tokens for it.
    pub audiences: Vec<String>,
    /// Where people may be sent back to.
    pub return_origins: Vec<String>,
    /// Credits one user may spend in it a day.
    pub spend_limit_day: Option<i64>,
    /// Credits one user may spend in it a month.
    pub spend_limit_month: Option<i64>,
    /// Where it hears of events.
    pub webhook_url: Option<String>,
}

impl From<AppListing> for AppFields {
    fn from(app: AppListing) -> Self {
        Self {
            name: app.name,
            audiences: app.audiences,
            return_origins: app.return_origins,
            spend_limit_day: app.spend_limit_day,
            spend_limit_month: app.spend_limit_month,
            webhook_url: app.webhook_url,
        }
    }
}

impl AppFields {
    /// Every field that is wrong, with what would be right.
    pub fn problems(&self, reach: Reach) -> Vec<(&'static str, &'static str)> {
        let mut problems = self.form_problems();
        let mut origins = self.return_origins.iter().take(MAX_LISTED);
        let origin = origins.find_map(|text| origin_problem(text, reach));
        problems.extend(origin.map(|words| ("returnOrigins", words)));
        let url = self.webhook_url.as_deref();
        let url = url.and_then(|text| webhook_url_problem(text, reach));
        problems.extend(url.map(|words| ("webhookUrl", words)));
        problems
    }

    fn form_problems(&self) -> Vec<(&'static str, &'static str)> {
        let positive =
            |limit: Option<i64>| limit.is_none_or(|limit| (1..=MAX_LIMIT).contains(&limit));
        let few = |list: &[String]| list.len() <= MAX_LISTED;
        let is_audience = |text: &String| {
            (1..=MAX_AUDIENCE_BYTES).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_graphic())
        };
        let checks = [
            (
                is_name(&self.name),
                "name",
                "must be a string of 1 to 100 characters",
            ),
            (
                few(&self.audiences) && self.audiences.iter().all(is_audience),
                "audiences",
                "must be at most 20, each of 1 to 200 visible ASCII characters",
            ),
            (
                few(&self.return_origins),
                "returnOrigins",
                "must be at most 20 origins",
            ),
            (
                positive(self.spend_limit_day),
                "spendLimitDay",
                "must be a whole number from 1 to 1000000000000",
            ),
            (
                positive(self.spend_limit_month),
                "spendLimitMonth",
                "must be a whole number from 1 to 1000000000000",
            ),
        ];
        checks
            .into_iter()
            .filter(|(fits, ..)| !fits)
            .map(|(_, field, words)| (field, words))
            .collect()
    }

    /// As the database takes them.
    pub fn to_json(&self) -> Value {
        json!(self)
    }
}

/// Something done with an app.
#[derive(Debug, Clone)]
pub enum AppAct {
    /// Makes it, with a webhook secret.
    Create(AppFields),
    /// Sets all its fields.
    Update(AppFields),
    /// Its services are unknown from this moment.
    Disable,
    /// Takes that back.
    Enable,
    /// Another webhook secret.
    RotateWebhookSecret,
}

impl AppAct {
    /// As the database calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::RotateWebhookSecret => "rotate_webhook_secret",
        }
    }

    /// What it sets.
    pub fn fields(&self) -> Value {
        match self {
            Self::Create(fields) | Self::Update(fields) => fields.to_json(),
            Self::Disable | Self::Enable | Self::RotateWebhookSecret => json!({}),
        }
    }

    /// Whether it makes a secret.
    pub fn makes_secret(&self) -> bool {
        matches!(self, Self::Create(_) | Self::RotateWebhookSecret)
    }
}

/// What a service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Place, capture and release holds in its app, and charge there.
    CreditsHold,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::CreditsHold];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreditsHold => "credits:hold",
        }
    }

    /// The scope of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }
}

/// A service that has shown its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The credential's id.
    pub id: String,
    /// Its app.
    pub app_id: String,
    /// What it may do.
    pub scopes: Vec<String>,
}

impl Service {
    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|own| own == scope.name())
    }
}

/// A credential to be made.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// What people call it.
    pub name: String,
    /// Its app.
    pub app_id: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<OffsetDateTime>,
}

impl NewCredential {
    /// Every field that is wrong, with what would be right.
    pub fn problems(&self, now: OffsetDateTime) -> Vec<(&'static str, &'static str)> {
        let known = self
            .scopes
            .iter()
            .all(|scope| Scope::parse(scope).is_some());
        let some = (1..=Scope::ALL.len()).contains(&self.scopes.len());
        let checks = [
            (
                is_name(&self.name),
                "name",
                "must be a string of 1 to 100 characters",
            ),
            (
                known && some,
                "scopes",
                "must name known scopes once each: credits:hold",
            ),
            (
                self.expires_at.is_none_or(|at| at > now),
                "expiresAt",
                "must be in the future",
            ),
        ];
        checks
            .into_iter()
            .filter(|(fits, ..)| !fits)
            .map(|(_, field, words)| (field, words))
            .collect()
    }

    /// As the database takes them.
    pub fn to_json(&self) -> Value {
        let expires_at = self.expires_at.and_then(|at| at.format(&Rfc3339).ok());
        json!({
            "name": self.name, "appId": self.app_id, "scopes": self.scopes, "expiresAt": expires_at,
        })
    }
}

/// A credential as admins and operators see one. Its secret is not known any more.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceListing {
    /// Opaque id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its app.
    pub app_id: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was used, to the minute.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it ends by itself.
    #[serde(serialize_with = "rfc3339_option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(serialize_with = "rfc3339_option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// Whether an app may be called so in requests.
pub fn is_app_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.len() <= MAX_APP_ID_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(rest)
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.contains('\0')
}

/// How a service's secret begins, so that scanners of leaked secrets know it.
pub const SECRET_PREFIX: &str = "tgs_";
/// The database's `apps_lists_bounded`.
const MAX_LISTED: usize = 20;
const MAX_NAME_CHARS: usize = 100;
/// As `JWT_AUDIENCE`.
const MAX_AUDIENCE_BYTES: usize = 200;
/// The database's `apps_id_form`.
const MAX_APP_ID_BYTES: usize = 64;
/// As the largest amount of a request.
const MAX_LIMIT: i64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_ids_have_the_databases_form() {
        for (text, fits) in [
            ("a", true),
            ("shop.v2_x-1", true),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_app_id(text), fits, "{text}");
        }
        assert!(is_app_id(&"a".repeat(64)) && !is_app_id(&"a".repeat(65)));
    }
}
