//! Asking Stripe. Nothing that it says in words reaches a client; the log gets codes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::model::Begun;
use crate::config::StripeConfig;
use crate::secret::SecretText;

/// A client of Stripe's API.
pub struct StripeClient {
    http: Client,
    api_base: String,
    secret_key: SecretText,
}

/// A checkout that Stripe has opened.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedCheckout {
    /// Its id.
    pub session_id: String,
    /// Where the user pays.
    pub url: String,
}

/// Why no checkout was opened.
#[derive(Debug, PartialEq, Eq)]
pub enum StripeError {
    /// No answer, or none that was one, as often as we tried.
    Unreachable,
    /// It will not, whenever it is asked.
    Refused,
}

impl StripeClient {
    /// A client with connections of its own.
    pub fn new(config: &StripeConfig) -> Self {
        let http = Client::builder()
            .tls_backend_preconfigured(tls())
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()
            .expect("a client with these settings can be made");
        Self {
            http,
            api_base: config.api_base.clone(),
            secret_key: config.secret_key.clone(),
        }
    }

    /// Opens the checkout of a purchase, or finds the one that was opened for it before: the
    /// purchase is the idempotency key, so asking again is safe.
    ///
    /// # Errors
    /// [`StripeError`].
    pub async fn open_checkout(&self, begun: &Begun) -> Result<OpenedCheckout, StripeError> {
        let body = form(begun);
        for pause in PAUSES {
            match self.ask(&begun.purchase_id, body.clone()).await {
                Asked::Opened(opened) => return Ok(opened),
                Asked::Refused => return Err(StripeError::Refused),
                Asked::TryAgain => tokio::time::sleep(pause).await,
            }
        }
        match self.ask(&begun.purchase_id, body).await {
            Asked::Opened(opened) => Ok(opened),
            Asked::Refused => Err(StripeError::Refused),
            Asked::TryAgain => Err(StripeError::Unreachable),
        }
    }

    async fn ask(&self, purchase_id: &str, body: String) -> Asked {
        let url = format!("{}/v1/checkout/sessions", self.api_base);
        let sent = self
            .http
            .post(url)
            .bearer_auth(self.secret_key.expose())
            .header("stripe-version", API_VERSION)
            .header("idempotency-key", format!("purchase:{purchase_id}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => judge(response).await,
            Err(error) => {
                tracing::warn!(
                    timeout = error.is_timeout(),
                    connect = error.is_connect(),
                    "Stripe did not answer"
                );
                Asked::TryAgain
            }
        }
    }
}

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeClient")
    }
}

enum Asked {
    Opened(OpenedCheckout),
    Refused,
    TryAgain,
}

async fn judge(response: Response) -> Asked {
    let status = response.status();
    let (again, request_id) = (
        should_retry(&response),
        header(response.headers(), "request-id"),
    );
    let Some(body) = read(response).await else {
        return Asked::TryAgain;
    };
    if status.is_success() {
        if let Some(opened) = opened(&body) {
            return Asked::Opened(opened);
        }
        tracing::error!(request_id, "Stripe answered without a checkout");
        return Asked::Refused;
    }
    let (kind, code) = (word(&body["error"]["type"]), word(&body["error"]["code"]));
    tracing::warn!(
        status = status.as_u16(),
        kind,
        code,
        request_id,
        "Stripe refused to open a checkout"
    );
    match again {
        true => Asked::TryAgain,
        false => Asked::Refused,
    }
}

/// As Stripe says, and otherwise whatever may pass: a key in use, too many requests, its own
/// failures.
fn should_retry(response: &Response) -> bool {
    match header(response.headers(), "stripe-should-retry").as_str() {
        "true" => true,
        "false" => false,
        _ => {
            let status = response.status();
            status.is_server_error()
                || status == StatusCode::CONFLICT
                || status == StatusCode::TOO_MANY_REQUESTS
        }
    }
}

/// The body as JSON, unless it breaks off or is larger than any answer of Stripe's.
async fn read(mut response: Response) -> Option<Value> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER_BYTES {
            return None;
        }
    }
    Some(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn opened(session: &Value) -> Option<OpenedCheckout> {
    let (id, url) = (session["id"].as_str()?, session["url"].as_str()?);
    let is_id = (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let is_url = url.len() <= MAX_URL_BYTES
        && Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    (is_id && is_url).then(|| OpenedCheckout {
        session_id: id.to_owned(),
        url: url.to_owned(),
    })
}

fn form(begun: &Begun) -> String {
    let currency = begun.currency.to_ascii_lowercase();
    let (price, expires_at) = (
        begun.price_cents.to_string(),
        begun.expires_at().to_string(),
    );
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("mode", "payment"),
            ("client_reference_id", &begun.purchase_id),
            ("metadata[purchase_id]", &begun.purchase_id),
            (
                "payment_intent_data[metadata][purchase_id]",
                &begun.purchase_id,
            ),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", &currency),
            ("line_items[0][price_data][unit_amount]", &price),
            (
                "line_items[0][price_data][product_data][name]",
                &begun.package_name,
            ),
            ("success_url", &begun.success_url),
            ("cancel_url", &begun.cancel_url),
            ("expires_at", &expires_at),
        ])
        .finish()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(MAX_WORD).collect()
}

/// A code for the log: one word, whatever was sent.
fn word(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default().chars().take(MAX_WORD);
    text.filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn tls() -> ClientConfig {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
    let roots: RootCertStore = roots.collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the protocol versions of its library")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The shape of what we send and read; newer ones are taken up on purpose.
const API_VERSION: &str = "2025-03-31.basil";
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Stripe opens a checkout in well under a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Before the second and the third attempt: somebody waits in front of a screen.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// A checkout is some kilobytes.
const MAX_ANSWER_BYTES: usize = 262_144;
const MAX_ID_BYTES: usize = 200;
/// As wide as the column.
const MAX_URL_BYTES: usize = 4_096;
const MAX_WORD: usize = 64;
