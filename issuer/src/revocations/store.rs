//! The only SQL about revocations.

use shared_claims::Kid;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::db::DbError;

/// One numbered entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// What it refuses.
    pub subject: Subject,
}

/// What an entry refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Tokens of a session.
    Session([u8; 8]),
    /// Tokens of a user issued before the cut-off.
    User([u8; 8], u32),
    /// Tokens signed with a key.
    Key(Kid),
}

/// The row every issuer serves.
#[derive(Debug)]
pub struct FeedRow {
    pub epoch: i64,
    pub seq: i64,
    pub as_of: OffsetDateTime,
    pub reject_before: Option<i64>,
    pub document: String,
}

/// Whether this issuer publishes this time: false when another is at it.
pub async fn try_lock(connection: &mut PgConnection) -> Result<bool, DbError> {
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtext('tollgate revocation feed')) as "locked!""#
    )
    .fetch_one(connection)
    .await?;
    Ok(locked)
}

pub async fn now(connection: &mut PgConnection) -> Result<OffsetDateTime, DbError> {
    Ok(sqlx::query_scalar!(r#"select auth.clock() as "now!""#)
        .fetch_one(connection)
        .await?)
}

/// Numbers what has committed since, continuing after `last`; says how many.
pub async fn number_entries(connection: &mut PgConnection, last: i64) -> Result<u64, DbError> {
    let numbered = sqlx::query!(
        "update auth.revocations r set seq = $1 + fresh.n
           from (select id, row_number() over (order by id) as n from auth.revocations where seq is null) fresh
          where r.id = fresh.id",
        last,
    )
    .execute(connection)
    .await?;
    Ok(numbered.rows_affected())
}

/// Entries that still concern a living token, in the order of their numbers; one more than
/// `limit` when there are more.
pub async fn live_entries(
    connection: &mut PgConnection,
    limit: usize,
) -> Result<Vec<Entry>, DbError> {
    let rows = sqlx::query!(
        r#"select seq as "seq!", kind, prefix, kid, cutoff from auth.revocations
            where seq is not null and expires_at > auth.clock() order by seq limit $1"#,
        i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            subject(&row.kind, row.prefix, row.kid.as_deref(), row.cutoff).map(|subject| Entry {
                seq: row.seq,
                subject,
            })
        })
        .collect()
}

fn subject(
    kind: &str,
    prefix: Option<Vec<u8>>,
    kid: Option<&str>,
    cutoff: Option<i64>,
) -> Result<Subject, DbError> {
    let prefix = prefix.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let kid = kid.and_then(Kid::parse);
    let cutoff = cutoff.and_then(|secs| u32::try_from(secs).ok());
    match (kind, prefix, kid, cutoff) {
        ("session", Some(prefix), None, None) => Ok(Subject::Session(prefix)),
        ("user", Some(prefix), None, Some(cutoff)) => Ok(Subject::User(prefix, cutoff)),
        ("key", None, Some(kid), None) => Ok(Subject::Key(kid)),
        _ => Err(DbError::Inconsistent("revocation of unknown form")),
    }
}

pub async fn find_feed(connection: &mut PgConnection) -> Result<Option<FeedRow>, DbError> {
    let row = sqlx::query_as!(
        FeedRow,
        "select epoch, seq, as_of, reject_before, document from auth.revocation_feed"
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

pub async fn save_feed(connection: &mut PgConnection, row: &FeedRow) -> Result<(), DbError> {
    sqlx::query!(
        "insert into auth.revocation_feed (epoch, seq, as_of, reject_before, document) values ($1, $2, $3, $4, $5)
         on conflict (singleton) do update
            set epoch = excluded.epoch, seq = excluded.seq, as_of = excluded.as_of,
                reject_before = excluded.reject_before, document = excluded.document",
        row.epoch,
        row.seq,
        row.as_of,
        row.reject_before,
        row.document,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Has every access token of before refused. The publisher waits, so that it does not write over it.
pub async fn cut_off_all_tokens(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('tollgate revocation feed'))")
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "update auth.revocation_feed
            set reject_before = greatest(reject_before, floor(extract(epoch from auth.clock()))::bigint + 1)"
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the sessions and users that a global `rejectBefore` covers.
pub async fn delete_covered(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!(
        "delete from auth.revocations where kind in ('session', 'user') and seq is not null"
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets entries that concern no living token any more.
pub async fn delete_expired(connection: &mut PgConnection) -> Result<u64, DbError> {
    let deleted = sqlx::query!(
        "delete from auth.revocations where id in
           (select id from auth.revocations where expires_at <= auth.clock() and seq is not null limit 1000)"
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}
