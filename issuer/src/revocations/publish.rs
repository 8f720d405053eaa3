//! Publishing: numbering what has committed, signing, and taking over what others published.

use std::fmt;

use shared_claims::{RevocationDocument, Revocations, UnixTime};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::MAX_ENTRIES;
use super::feed::{FeedDocument, etag};
use super::store::{self, Entry, FeedRow, Subject};
use crate::app::App;
use crate::clock::unix;
use crate::db::{AsRetry, DbError};
use crate::signing_keys::{Purpose, Signer};

/// Publishes if there is anything new or the last document is older than a second, and
/// nobody else is publishing.
///
/// # Errors
/// [`PublishError`]; the last document goes on being served.
pub async fn publish(app: &App) -> Result<(), PublishError> {
    let signer = app
        .keys
        .signer(Purpose::RevocationFeed)
        .ok_or(PublishError::NoKey)?;
    app.db
        .retry("publish_revocations", || async {
            let mut tx = app.db.begin().await?;
            if store::try_lock(&mut tx).await? {
                publish_locked(app, &mut tx, &signer).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
}

async fn publish_locked(
    app: &App,
    tx: &mut PgConnection,
    signer: &Signer,
) -> Result<(), PublishError> {
    let held = store::find_feed(tx).await?;
    let (epoch, last) = held.as_ref().map_or((1, 0), |row| (row.epoch, row.seq));
    let numbered = store::number_entries(tx, last).await?;
    let mut as_of = store::now(tx).await?;
    if let Some(row) = &held {
        // The server's clock may be set back; verifiers refuse a document that goes back with it.
        as_of = as_of.max(row.as_of);
        // A restored database has begun an epoch that its document does not know of.
        let is_of_epoch = |document: Revocations| i64::try_from(document.epoch()) == Ok(epoch);
        let is_young = as_of - row.as_of < CONFIRM_EVERY;
        if numbered == 0 && is_young && read(app, signer, row).is_ok_and(is_of_epoch) {
            return Ok(());
        }
    }
    let seq = last + i64::try_from(numbered).unwrap_or(0);
    let mut reject_before = held
        .and_then(|row| row.reject_before)
        .filter(|cutoff| still_matters(*cutoff, as_of));
    let mut entries = store::live_entries(tx, MAX_ENTRIES).await?;
    if entries.len() > MAX_ENTRIES {
        reject_before = Some(as_of.unix_timestamp() + 1);
        store::delete_covered(tx).await?;
        entries = store::live_entries(tx, MAX_ENTRIES).await?;
        tracing::warn!(
            "the feed was full: tokens issued before this moment are refused and clients refresh"
        );
    }
    let head = Head {
        epoch,
        seq,
        as_of,
        reject_before,
    };
    let document = sign(app, signer, &head, &entries, None);
    store::save_feed(
        tx,
        &FeedRow {
            epoch,
            seq,
            as_of,
            reject_before,
            document,
        },
    )
    .await?;
    Ok(())
}

/// Takes over the stored document if it is newer than the one in memory.
///
/// # Errors
/// [`PublishError`]; the document in memory stays.
pub async fn reload(app: &App) -> Result<(), PublishError> {
    let mut connection = app.db.acquire().await?;
    let Some(row) = store::find_feed(&mut connection).await? else {
        return Ok(());
    };
    let as_of = row.as_of.unix_timestamp();
    let held = app.feed.current();
    if held.is_some_and(|held| (held.epoch, held.seq, held.as_of) >= (row.epoch, row.seq, as_of)) {
        return Ok(());
    }
    let signer = app
        .keys
        .signer(Purpose::RevocationFeed)
        .ok_or(PublishError::NoKey)?;
    let revocations = read(app, &signer, &row)?;
    let entries = store::live_entries(&mut connection, MAX_ENTRIES).await?;
    let metrics = &app.metrics.verification;
    metrics.feed_replaced(row.seq, as_of, entries.len());
    app.feed.replace(FeedDocument {
        epoch: row.epoch,
        seq: row.seq,
        as_of,
        reject_before: row.reject_before,
        etag: etag(&row.document),
        jws: row.document,
        entries,
        revocations,
    });
    Ok(())
}

/// What a stored document says. It is published anew when it does not verify: after the feed's
/// key was revoked or the issuer was given another name.
fn read(app: &App, signer: &Signer, row: &FeedRow) -> Result<Revocations, PublishError> {
    let (keys, issuer) = (&signer.published.key_set, &app.config.tokens.issuer);
    Revocations::from_jws(&row.document, keys, issuer, unix(row.as_of))
        .map_err(|_| PublishError::ForeignDocument)
}

/// Signs what came after `since`; `None` when the caller needs the whole document.
pub(super) fn delta(app: &App, document: &FeedDocument, since: i64) -> Option<String> {
    if since < 0 || since > document.seq {
        return None;
    }
    let signer = app.keys.signer(Purpose::RevocationFeed)?;
    let newer: Vec<Entry> = document
        .entries
        .iter()
        .filter(|entry| entry.seq > since || entry.is_key())
        .cloned()
        .collect();
    let as_of = OffsetDateTime::from_unix_timestamp(document.as_of).ok()?;
    let head = Head {
        epoch: document.epoch,
        seq: document.seq,
        as_of,
        reject_before: document.reject_before,
    };
    Some(sign(app, &signer, &head, &newer, Some(since)))
}

struct Head {
    epoch: i64,
    seq: i64,
    as_of: OffsetDateTime,
    reject_before: Option<i64>,
}

fn sign(app: &App, signer: &Signer, head: &Head, entries: &[Entry], base: Option<i64>) -> String {
    let mut document = RevocationDocument {
        iss: app.config.tokens.issuer.clone(),
        epoch: secs(head.epoch),
        seq: secs(head.seq),
        as_of: unix(head.as_of),
        iat: unix(head.as_of),
        deny_kids: Vec::new(),
        sids: Vec::new(),
        subs: Vec::new(),
        reject_before: head
            .reject_before
            .map(|cutoff| UnixTime::from_secs(secs(cutoff))),
        base: base.map(secs),
    };
    for entry in entries {
        match &entry.subject {
            Subject::Session(prefix) => document.sids.push(*prefix),
            Subject::User(prefix, cutoff) => document.subs.push((*prefix, *cutoff)),
            Subject::Key(kid) => document.deny_kids.push(*kid),
        }
    }
    signer.key.sign_revocations(&document)
}

impl Entry {
    fn is_key(&self) -> bool {
        matches!(self.subject, Subject::Key(_))
    }
}

fn secs(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A global cut-off may go once every token it refuses has expired everywhere.
fn still_matters(cutoff: i64, as_of: OffsetDateTime) -> bool {
    as_of.unix_timestamp() - cutoff < LONGEST_TOKEN_SECS
}

/// Why nothing was published or read.
#[derive(Debug)]
pub enum PublishError {
    /// The database.
    Db(DbError),
    /// No feed key has been loaded yet.
    NoKey,
    /// The stored document was not signed by our feed key.
    ForeignDocument,
}

impl From<DbError> for PublishError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl AsRetry for PublishError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_retryable())
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::NoKey => f.write_str("no feed key is loaded"),
            Self::ForeignDocument => f.write_str("the stored feed was not signed by our key"),
        }
    }
}

impl std::error::Error for PublishError {}

/// Verifiers measure the age of what they hold by this.
const CONFIRM_EVERY: time::Duration = time::Duration::seconds(1);
/// The longest life of a token, the largest leeway, a minute of skew.
const LONGEST_TOKEN_SECS: i64 = 3_600 + 120 + 60;
