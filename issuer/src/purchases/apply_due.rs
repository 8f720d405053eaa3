//! Applies what Stripe has reported. Any number of issuers do this at once; each report is leased
//! to one.

use super::model::Applied;
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::metrics::OutcomeLabel;

/// Applies one batch, each report in a transaction of its own, and says how many were tried.
///
/// # Errors
/// [`DbError`] when the database is away. What a report says is no reason.
pub async fn apply_due(app: &App) -> Result<usize, DbError> {
    let mut connection = app.db.acquire().await?;
    let due = store::claim_events(&mut connection, BATCH, MAX_ATTEMPTS).await?;
    for id in &due {
        let outcome = store::apply_event(&mut connection, id, MAX_ATTEMPTS).await?;
        note(app, id, &outcome)?;
    }
    let backlog = store::load_backlog(&mut connection).await?;
    app.metrics.stripe_events_waiting.set(backlog.waiting);
    app.metrics.stripe_events_unresolved.set(backlog.unresolved);
    Ok(due.len())
}

fn note(app: &App, event: &str, outcome: &str) -> Result<(), DbError> {
    let label = match Applied::parse(outcome)? {
        Applied::Done => {
            tracing::info!(event, outcome, "a report of Stripe was applied");
            "applied"
        }
        Applied::Refused => {
            tracing::error!(event, outcome, "a payment does not fit its purchase");
            "refused"
        }
        Applied::Failed => {
            tracing::error!(event, "a report of Stripe could not be applied");
            "failed"
        }
        Applied::Taken => return Ok(()),
    };
    let label = OutcomeLabel { outcome: label };
    app.metrics.stripe_events.get_or_create(&label).inc();
    Ok(())
}

/// Some milliseconds each: a batch ends well before its lease.
const BATCH: i32 = 32;
/// With pauses from 5 seconds to an hour between them: about half a day.
const MAX_ATTEMPTS: i32 = 20;
