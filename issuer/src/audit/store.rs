//! The only SQL about the audit trail.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::chain::micros;
use super::model::{Checkpoint, Event, Link, SealedEvent, hex};
use super::search::Filter;
use crate::db::DbError;
use crate::http::Caller;

/// The end of the chain.
pub struct Head {
    pub seq: i64,
    pub mac: Option<Vec<u8>>,
    pub checkpoint_seq: Option<i64>,
    pub checkpoint_at: Option<OffsetDateTime>,
}

/// Whether this issuer seals this time: false when another is at it.
pub async fn try_lock(connection: &mut PgConnection) -> Result<bool, DbError> {
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtext('tollgate audit chain')) as "locked!""#
    )
    .fetch_one(connection)
    .await?;
    Ok(locked)
}

pub async fn head(connection: &mut PgConnection) -> Result<Head, DbError> {
    let row = sqlx::query!("select seq, mac, checkpoint_seq, checkpoint_at from auth.audit_head()")
        .fetch_one(connection)
        .await?;
    Ok(Head {
        seq: row.seq.unwrap_or(0),
        mac: row.mac,
        checkpoint_seq: row.checkpoint_seq,
        checkpoint_at: row.checkpoint_at,
    })
}

pub async fn unsealed_events(
    connection: &mut PgConnection,
    limit: i32,
) -> Result<Vec<SealedEvent>, DbError> {
    let rows = sqlx::query_as!(
        SealedEvent,
        r#"select id as "id!", occurred_at as "occurred_at!", kind as "kind!", outcome as "outcome!",
                  actor_kind as "actor_kind!", actor_id, target_kind, target_id, user_id, session_id, request_id,
                  details_digest as "details_digest!"
             from auth.list_unsealed_events($1)"#,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Continues the chain after link `after`.
pub async fn append_seals(
    connection: &mut PgConnection,
    after: i64,
    event_ids: &[i64],
    macs: &[Vec<u8>],
    master_key_version: i32,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.append_seals($1, $2, $3, $4)",
        after,
        event_ids,
        macs,
        master_key_version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn advance_progress(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!("select auth.advance_audit_progress()")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn save_checkpoint(
    connection: &mut PgConnection,
    seq: i64,
    mac: &[u8],
    master_key_version: i32,
    signed_at: OffsetDateTime,
    signature: &[u8],
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.save_audit_checkpoint($1, $2, $3, $4, $5)",
        seq,
        mac,
        master_key_version,
        signed_at,
        signature,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A page of the chain after link `after`.
pub async fn links(
    connection: &mut PgConnection,
    after: i64,
    limit: i32,
) -> Result<Vec<Link>, DbError> {
    let rows = sqlx::query!(
        r#"select seq as "seq!", event_id as "event_id!", mac as "mac!", master_key_version as "master_key_version!",
                  found_event as "found_event!", occurred_at, kind, outcome, actor_kind, actor_id, target_kind, target_id,
                  user_id, session_id, request_id, details_digest, details_intact
             from auth.list_seals($1, $2)"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let missing = || DbError::Inconsistent("event without a field it always has");
    rows.into_iter()
        .map(|row| {
            let event = match row.found_event {
                false => None,
                true => Some(SealedEvent {
                    id: row.event_id,
                    occurred_at: row.occurred_at.ok_or_else(missing)?,
                    kind: row.kind.ok_or_else(missing)?,
                    outcome: row.outcome.ok_or_else(missing)?,
                    actor_kind: row.actor_kind.ok_or_else(missing)?,
                    actor_id: row.actor_id,
                    target_kind: row.target_kind,
                    target_id: row.target_id,
                    user_id: row.user_id,
                    session_id: row.session_id,
                    request_id: row.request_id,
                    details_digest: row.details_digest.ok_or_else(missing)?,
                }),
            };
            Ok(Link {
                seq: row.seq,
                event_id: row.event_id,
                mac: row.mac,
                master_key_version: row.master_key_version,
                event,
                details_intact: row.details_intact,
            })
        })
        .collect()
}

/// A page of the checkpoints after link `after`.
pub async fn checkpoints(
    connection: &mut PgConnection,
    after: i64,
    limit: i32,
) -> Result<Vec<Checkpoint>, DbError> {
    let rows = sqlx::query!(
        r#"select seq as "seq!", mac as "mac!", master_key_version as "master_key_version!",
                  signed_at as "signed_at!", signature as "signature!"
             from auth.list_audit_checkpoints($1, $2)"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Checkpoint {
            seq: row.seq,
            mac: hex(&row.mac),
            master_key_version: row.master_key_version,
            signed_at: micros(row.signed_at),
            signature: hex(&row.signature),
        })
        .collect())
}

/// Events outside the chain, and how many of them the sealer will never look at.
pub async fn count_unsealed(connection: &mut PgConnection) -> Result<(i64, i64), DbError> {
    let row = sqlx::query!(
        r#"select unsealed as "unsealed!", overlooked as "overlooked!" from auth.count_unsealed_events()"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.unsealed, row.overlooked))
}

/// The caller's own events, newest first; `None` once the asking session has ended.
pub async fn list_events(
    connection: &mut PgConnection,
    caller: &Caller,
    before: i64,
    limit: i32,
) -> Result<Option<Vec<Event>>, DbError> {
    let rows = sqlx::query!(
        r#"select id, kind, outcome, occurred_at, ip_address, user_agent, session_id, request_id, details
             from auth.list_events($1, $2, $3, $4)"#,
        caller.user_id,
        caller.session_id,
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            Some(Event {
                id: row.id?,
                kind: row.kind?,
                outcome: row.outcome?,
                occurred_at: row.occurred_at?,
                actor_kind: String::new(),
                actor_id: None,
                target_kind: None,
                target_id: None,
                user_id: None,
                ip_address: row.ip_address,
                user_agent: row.user_agent,
                session_id: row.session_id,
                request_id: row.request_id,
                details: row.details.unwrap_or_default(),
            })
        })
        .collect())
}

/// Events of everybody with the standing of the admin who asks; none unless they may.
pub async fn search_events(
    connection: &mut PgConnection,
    caller: &Caller,
    filter: &Filter,
    before: i64,
    limit: i32,
) -> Result<(String, Vec<Event>), DbError> {
    let rows = sqlx::query!(
        r#"select standing, id, occurred_at, kind, outcome, actor_kind, actor_id, target_kind, target_id, user_id,
                  session_id, request_id, ip_address, user_agent, details
             from auth.search_events($1, $2, $3, $4, $5, $6, $7, $8)"#,
        caller.user_id,
        caller.session_id,
        filter.user_id,
        filter.kind,
        filter.from,
        filter.to,
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let standing = standing.ok_or(DbError::Inconsistent("no standing"))?;
    let events = rows
        .filter_map(|row| {
            Some(Event {
                id: row.id?,
                kind: row.kind?,
                outcome: row.outcome?,
                occurred_at: row.occurred_at?,
                actor_kind: row.actor_kind?,
                actor_id: row.actor_id,
                target_kind: row.target_kind,
                target_id: row.target_id,
                user_id: row.user_id,
                ip_address: row.ip_address,
                user_agent: row.user_agent,
                session_id: row.session_id,
                request_id: row.request_id,
                details: row.details.unwrap_or_default(),
            })
        })
        .collect();
    Ok((standing, events))
}

/// Notes an export and says whether it may be made.
pub async fn record_export(
    connection: &mut PgConnection,
    caller: &Caller,
    filter: &Value,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.record_export($1, $2, $3, $4) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        filter,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}
