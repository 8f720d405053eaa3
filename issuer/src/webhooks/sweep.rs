//! Keeps the queue within its bounds, and forgets what is over.

use super::model::MAX_WAITING_PER_APP;
use super::send_due::count;
use super::store;
use crate::app::App;
use crate::db::DbError;

/// Works on a bounded number; the rest waits for the next run.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let swept = store::sweep_webhooks(&mut connection, MAX_WAITING_PER_APP).await?;
    if swept.n_overflowed > 0 {
        tracing::warn!(
            n_given_up = swept.n_overflowed,
            limit = MAX_WAITING_PER_APP,
            "more webhooks wait for an app than may: the oldest were given up"
        );
    }
    count(app, "dead", swept.n_overflowed);
    let backlog = store::load_backlog(&mut connection).await?;
    app.metrics.webhooks_waiting.set(backlog.n_waiting);
    app.metrics.webhooks_dead.set(backlog.n_dead);
    app.metrics.webhook_oldest_secs.set(backlog.oldest_secs);
    Ok(())
}
