//! Taking in what Stripe reports.

use serde_json::{Value, json};

use super::event::{Reading, StripeEvent};
use super::signature::is_genuine;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// Stores a report whose signature fits. It is answered then and applied afterwards, so that
/// Stripe never waits for what it causes.
///
/// # Errors
/// [`ReceiveError`].
pub async fn receive_event(app: &App, signature: &str, body: &[u8]) -> Result<(), ReceiveError> {
    let config = app.config.stripe.as_ref().ok_or(ReceiveError::NotSetUp)?;
    if !is_genuine(&config.webhook_secret, signature, body, app.clock.now()) {
        return Err(ReceiveError::NotGenuine);
    }
    let event = StripeEvent::parse(body, config.is_live()).ok_or(ReceiveError::NoReport)?;
    let nothing = json!({});
    let (state, outcome, facts): (&str, Option<&str>, &Value) = match &event.reading {
        Reading::Facts(facts) => ("waiting", None, facts),
        Reading::Ignored(why) => ("ignored", Some(why), &nothing),
        Reading::Unreadable => ("dead", Some("unreadable"), &nothing),
    };
    let mut connection = app.db.acquire().await?;
    let is_new = store::receive_event(&mut connection, &event, facts, state, outcome).await?;
    tracing::info!(
        event = event.id,
        kind = event.kind,
        state,
        outcome,
        is_new,
        "Stripe reported"
    );
    Ok(())
}

/// Why a report was not taken in.
#[derive(Debug)]
pub enum ReceiveError {
    /// The operator has not connected Stripe.
    NotSetUp,
    /// Not from Stripe, or too long ago.
    NotGenuine,
    /// From Stripe, and not a report.
    NoReport,
    /// The database; Stripe sends it again.
    Db(DbError),
}

impl From<DbError> for ReceiveError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
