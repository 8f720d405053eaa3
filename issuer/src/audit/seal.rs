//! Sealing: chaining what has committed.

use super::chain::{self, GENESIS};
use super::checkpoint;
use super::model::Checkpoint;
use super::store::{self, Head};
use crate::app::App;
use crate::db::DbError;
use crate::secret::Purpose;

/// Chains the events that have committed since, unless another issuer is at it, and signs a
/// checkpoint when the last one is old. Says how many events it chained.
///
/// # Errors
/// [`DbError`]; nothing was chained, and the next run takes it up.
pub async fn seal(app: &App) -> Result<usize, DbError> {
    let (sealed, checkpoint) = app
        .db
        .retry("seal_events", || async {
            let mut tx = app.db.begin().await?;
            if !store::try_lock(&mut tx).await? {
                return Ok((0, None));
            }
            let head = store::head(&mut tx).await?;
            let (sealed, head) = chain_events(app, &mut tx, head).await?;
            store::advance_progress(&mut tx).await?;
            let checkpoint = sign_if_due(app, &mut tx, &head).await?;
            tx.commit().await?;
            Ok::<_, DbError>((sealed, checkpoint))
        })
        .await?;
    if let Some(checkpoint) = checkpoint {
        checkpoint::announce(app, &checkpoint).await;
    }
    Ok(sealed)
}

async fn chain_events(
    app: &App,
    tx: &mut sqlx::PgConnection,
    mut head: Head,
) -> Result<(usize, Head), DbError> {
    let key = app.master_keys.current().derive(Purpose::AuditChain);
    let events = store::unsealed_events(tx, MAX_PER_RUN).await?;
    let mut last = head.mac.clone().unwrap_or_else(|| GENESIS.to_vec());
    let mut seq = head.seq;
    let mut macs = Vec::with_capacity(events.len());
    for event in &events {
        seq += 1;
        last = chain::mac(&key, &last, seq, event).to_vec();
        macs.push(last.clone());
    }
    if !events.is_empty() {
        let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
        store::append_seals(tx, head.seq, &ids, &macs, app.master_keys.current_version()).await?;
        (head.seq, head.mac) = (seq, Some(last));
    }
    Ok((events.len(), head))
}

async fn sign_if_due(
    app: &App,
    tx: &mut sqlx::PgConnection,
    head: &Head,
) -> Result<Option<Checkpoint>, DbError> {
    let now = app.clock.now();
    let due = head
        .checkpoint_at
        .is_none_or(|at| now - at >= CHECKPOINT_EVERY);
    let (true, Some(mac)) = (due && Some(head.seq) != head.checkpoint_seq, &head.mac) else {
        return Ok(None);
    };
    let (key, version) = (
        app.master_keys.current().derive(Purpose::AuditChain),
        app.master_keys.current_version(),
    );
    let (checkpoint, signature) = chain::sign(&key, version, head.seq, mac, now);
    store::save_checkpoint(tx, head.seq, mac, version, now, &signature).await?;
    Ok(Some(checkpoint))
}

/// One short transaction each second; what is left waits for the next.
const MAX_PER_RUN: i32 = 5_000;
/// What may be lost from the end without a trace, when nobody keeps the log of the last minute.
const CHECKPOINT_EVERY: time::Duration = time::Duration::seconds(60);
