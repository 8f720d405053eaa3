//! Beginning a purchase.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::model::{Begun, CHECKOUT_SECS, Wish};
use super::return_url::ReturnUrl;
use super::store::{self, CheckoutRow};
use super::stripe::{OpenedCheckout, StripeClient, StripeError};
use crate::app::App;
use crate::db::DbError;

/// A checkout as its buyer is told.
#[derive(Debug)]
pub struct CheckedOut {
    /// The purchase.
    pub purchase_id: String,
    /// Where to pay.
    pub url: String,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Where a checkout may send people back to: this issuer, pages that may call it, enabled apps.
///
/// # Errors
/// [`DbError`].
pub async fn return_origins(app: &App) -> Result<Vec<String>, DbError> {
    let mut connection = app.db.acquire().await?;
    let mut origins = store::load_return_origins(&mut connection).await?;
    origins.extend(app.config.http.cors_origins.iter().cloned());
    let own = url::Url::parse(&app.config.http.base_url).map(|url| url.origin());
    origins.extend(own.map(|origin| origin.ascii_serialization()));
    Ok(origins)
}

/// Writes the purchase down, then has Stripe open a checkout for it.
///
/// # Errors
/// [`CheckOutError`].
pub async fn check_out(
    app: &App,
    user_id: &str,
    wish: &Wish,
    idempotency_key: Option<&str>,
) -> Result<CheckedOut, CheckOutError> {
    let stripe = app.stripe.as_ref().ok_or(CheckOutError::NotSetUp)?;
    let row = begin(app, user_id, wish, idempotency_key).await?;
    let replayed = row.replayed;
    if let Some(url) = row.checkout_url.clone() {
        let purchase_id = row.into_begun()?.purchase_id;
        return Ok(CheckedOut {
            purchase_id,
            url,
            replayed,
        });
    }
    // It came to its end before; another attempt is another purchase.
    let is_open = wait(row.created_at, app.clock.now()) > 0;
    if row.status.as_deref() != Some("pending") || !is_open {
        return Err(CheckOutError::Over);
    }
    let begun = row.into_begun()?;
    let opened = open(app, stripe, user_id, &begun).await?;
    Ok(CheckedOut {
        purchase_id: begun.purchase_id,
        url: opened.url,
        replayed,
    })
}

async fn begin(
    app: &App,
    user_id: &str,
    wish: &Wish,
    key: Option<&str>,
) -> Result<CheckoutRow, CheckOutError> {
    let purchase_id = app.entropy.unique_id();
    let mut connection = app.db.acquire().await?;
    let row =
        store::begin_checkout(&mut connection, user_id, &purchase_id, wish, key, MAX_OPEN).await?;
    match row.outcome.as_str() {
        "begun" => Ok(row),
        "key_reused" => Err(CheckOutError::KeyReused),
        "frozen" => Err(CheckOutError::Frozen),
        "no_package" => Err(CheckOutError::NoPackage),
        "no_account" => Err(CheckOutError::NoAccount),
        "too_many" => Err(CheckOutError::TooMany {
            retry_after_secs: wait(row.created_at, app.clock.now()),
        }),
        _ => Err(DbError::Inconsistent("unknown outcome of a checkout").into()),
    }
}

/// No transaction is open meanwhile. When the answer is lost, or we are, the purchase stays pending
/// and the same key finds the same checkout.
async fn open(
    app: &App,
    stripe: &StripeClient,
    user_id: &str,
    begun: &Begun,
) -> Result<OpenedCheckout, CheckOutError> {
    let asked = stripe.open_checkout(begun).await;
    let mut connection = app.db.acquire().await?;
    match asked {
        Ok(opened) => {
            match store::note_checkout(&mut connection, user_id, &begun.purchase_id, &opened)
                .await?
            {
                true => Ok(opened),
                false => Err(DbError::Inconsistent("a purchase with two checkouts").into()),
            }
        }
        Err(StripeError::Refused) => {
            store::fail_checkout(&mut connection, user_id, &begun.purchase_id).await?;
            Err(CheckOutError::Unavailable)
        }
        Err(StripeError::Unreachable) => Err(CheckOutError::Unavailable),
    }
}

/// Seconds until a checkout that was begun then runs out.
fn wait(begun_at: Option<OffsetDateTime>, now: OffsetDateTime) -> u64 {
    let ends = begun_at.map(|at| at + Duration::seconds(CHECKOUT_SECS.into()));
    let left = ends.map_or(0, |ends| (ends - now).whole_seconds());
    u64::try_from(left).unwrap_or(0)
}

/// Reads both return URLs, or names those that do not fit.
///
/// # Errors
/// The fields.
pub fn read_urls(
    success: &str,
    cancel: &str,
    origins: &[String],
) -> Result<(ReturnUrl, ReturnUrl), Vec<&'static str>> {
    let parsed = (
        ReturnUrl::parse(success, origins),
        ReturnUrl::parse(cancel, origins),
    );
    match parsed {
        (Some(success), Some(cancel)) => Ok((success, cancel)),
        (success, cancel) => {
            let wrong = [
                ("successUrl", success.is_none()),
                ("cancelUrl", cancel.is_none()),
            ];
            let wrong = wrong.into_iter().filter(|(_, wrong)| *wrong);
            Err(wrong.map(|(field, _)| field).collect())
        }
    }
}

/// Why nothing can be paid.
#[derive(Debug)]
pub enum CheckOutError {
    /// The operator has not connected Stripe.
    NotSetUp,
    /// The key belongs to another request.
    KeyReused,
    /// The account is frozen.
    Frozen,
    /// There is no such package on offer.
    NoPackage,
    /// The user has no account.
    NoAccount,
    /// As many checkouts are open as may be.
    TooMany {
        /// When one of them runs out.
        retry_after_secs: u64,
    },
    /// The purchase of this key came to its end without a checkout.
    Over,
    /// Stripe did not open a checkout.
    Unavailable,
    /// The database.
    Db(DbError),
}

impl From<DbError> for CheckOutError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for CheckOutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSetUp => f.write_str("purchases are not set up"),
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Frozen => f.write_str("the account is frozen"),
            Self::NoPackage => f.write_str("there is no such package on offer"),
            Self::NoAccount => f.write_str("the user has no credit account"),
            Self::TooMany { .. } => f.write_str("too many open checkouts"),
            Self::Over => f.write_str("the purchase came to its end without a checkout"),
            Self::Unavailable => f.write_str("no checkout was opened"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CheckOutError {}

/// Nobody pays for more at once; a loop must not open checkouts without end.
const MAX_OPEN: i32 = 10;
