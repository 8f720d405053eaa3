//! Where money comes from.

use url::Url;

use super::Source;
use super::http::is_loopback;
use crate::secret::SecretText;

/// How Stripe is reached and recognized.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `STRIPE_SECRET_KEY`: lets us open checkouts.
    pub secret_key: SecretText,
    /// `STRIPE_WEBHOOK_SECRET`: shows that a report is from Stripe.
    pub webhook_secret: SecretText,
    /// `STRIPE_API_BASE`: without a trailing slash.
    pub api_base: String,
}

impl StripeConfig {
    /// `None` when nothing is set: nobody can buy then.
    pub(super) fn read(source: &mut Source<'_>) -> Option<Self> {
        let secret_key = source.secret("STRIPE_SECRET_KEY");
        let webhook_secret = source.secret("STRIPE_WEBHOOK_SECRET");
        let api_base = read_api_base(source);
        if let Some(key) = &secret_key
            && !is_key(key.expose())
        {
            source.problem(
                "STRIPE_SECRET_KEY",
                "must be a secret or restricted key: sk_live_…, sk_test_…, rk_live_… or rk_test_…",
            );
        }
        if let Some(secret) = &webhook_secret
            && !(secret.expose().starts_with("whsec_") && is_plain(secret.expose()))
        {
            source.problem(
                "STRIPE_WEBHOOK_SECRET",
                "must be the signing secret of the webhook endpoint: whsec_…",
            );
        }
        match (secret_key, webhook_secret) {
            (Some(secret_key), Some(webhook_secret)) => Some(Self {
                secret_key,
                webhook_secret,
                api_base,
            }),
            (None, None) => None,
            (Some(_), None) => {
                source.problem(
                    "STRIPE_WEBHOOK_SECRET",
                    "is required with STRIPE_SECRET_KEY: what is paid would never be credited",
                );
                None
            }
            (None, Some(_)) => {
                source.problem(
                    "STRIPE_SECRET_KEY",
                    "is required with STRIPE_WEBHOOK_SECRET",
                );
                None
            }
        }
    }

    /// Whether real money moves.
    pub fn is_live(&self) -> bool {
        let key = self.secret_key.expose();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }
}

fn read_api_base(source: &mut Source<'_>) -> String {
    let given = source.text("STRIPE_API_BASE");
    let text = given.unwrap_or_else(default_api_base);
    let base = text.trim_end_matches('/').to_owned();
    let fits = Url::parse(&base).is_ok_and(|url| {
        (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if !fits {
        source.problem(
            "STRIPE_API_BASE",
            "must be an https URL without query or credentials; http only for loopback",
        );
    }
    base
}

fn is_key(text: &str) -> bool {
    let kinds = ["sk_live_", "sk_test_", "rk_live_", "rk_test_"];
    kinds.iter().any(|kind| text.starts_with(kind)) && is_plain(text)
}

/// It stands in a header.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// Stripe's own.
fn default_api_base() -> String {
    "https://api.stripe.com".into()
}
