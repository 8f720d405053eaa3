//! Verifying: recomputing the chain and comparing it with checkpoints.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use sqlx::PgConnection;

use super::chain::{self, GENESIS};
use super::checkpoint;
use super::model::{Checkpoint, Fault, FaultKind, Link, Verification, unhex};
use super::store;
use crate::app::App;
use crate::db::DbError;
use crate::secret::{DerivedKey, Purpose};

/// Recomputes the whole chain in pages, and compares it with the checkpoints in the database
/// and, when there is a file of them, with those. Stops at the first fault.
///
/// # Errors
/// [`VerifyAuditError`]; a fault is not an error but a result.
pub async fn verify(app: &App, file: Option<&PathBuf>) -> Result<Verification, VerifyAuditError> {
    let kept = match file {
        Some(path) => checkpoint::read_file(path).map_err(VerifyAuditError::File)?,
        None => Vec::new(),
    };
    let mut connection = app.db.acquire().await?;
    let (unsealed, overlooked) = store::count_unsealed(&mut connection).await?;
    let mut walk = Walk::new(app, kept);
    let fault = walk.walk_on(&mut connection).await?;
    let overlooked = (overlooked > 0).then_some(Fault {
        seq: walk.seq,
        event_id: None,
        kind: FaultKind::Overlooked,
    });
    Ok(Verification {
        verified: walk.verified,
        erased: walk.erased,
        checkpoints: walk.n_checkpoints,
        unsealed,
        fault: fault.or(overlooked),
    })
}

struct Walk<'a> {
    app: &'a App,
    keys: BTreeMap<i32, Option<DerivedKey>>,
    /// From a file; several may be of one place.
    kept: BTreeMap<i64, Vec<Checkpoint>>,
    seq: i64,
    last: Vec<u8>,
    verified: i64,
    erased: i64,
    n_checkpoints: i64,
}

impl<'a> Walk<'a> {
    fn new(app: &'a App, checkpoints: Vec<Checkpoint>) -> Self {
        let mut kept: BTreeMap<i64, Vec<Checkpoint>> = BTreeMap::new();
        for checkpoint in checkpoints {
            kept.entry(checkpoint.seq).or_default().push(checkpoint);
        }
        Self {
            app,
            keys: BTreeMap::new(),
            kept,
            seq: 0,
            last: GENESIS.to_vec(),
            verified: 0,
            erased: 0,
            n_checkpoints: 0,
        }
    }

    async fn walk_on(&mut self, connection: &mut PgConnection) -> Result<Option<Fault>, DbError> {
        let mut stored = store::checkpoints(connection, 0, PAGE).await?;
        loop {
            let links = store::links(connection, self.seq, PAGE).await?;
            if links.is_empty() {
                break;
            }
            for link in links {
                if let Err(fault) = self.step(&link) {
                    return Ok(Some(fault));
                }
                while stored.first().is_some_and(|first| first.seq == link.seq) {
                    let checkpoint = stored.remove(0);
                    if let Err(fault) = self.compare(&checkpoint) {
                        return Ok(Some(fault));
                    }
                    if stored.is_empty() {
                        stored = store::checkpoints(connection, link.seq, PAGE).await?;
                    }
                }
            }
        }
        Ok(self.beyond_the_end(&stored))
    }

    fn step(&mut self, link: &Link) -> Result<(), Fault> {
        let fault = |seq, event_id, kind| {
            Err(Fault {
                seq,
                event_id,
                kind,
            })
        };
        let id = Some(link.event_id);
        if link.seq != self.seq + 1 {
            return fault(self.seq + 1, None, FaultKind::SealDeleted);
        }
        let Some(event) = &link.event else {
            return fault(link.seq, id, FaultKind::Deleted);
        };
        let Some(key) = self.key(link.master_key_version) else {
            return fault(link.seq, id, FaultKind::UnknownMasterKey);
        };
        if chain::mac(&key, &self.last, link.seq, event).as_slice() != link.mac {
            return fault(link.seq, id, FaultKind::Changed);
        }
        match link.details_intact {
            Some(false) => return fault(link.seq, id, FaultKind::DetailsChanged),
            Some(true) => {}
            None => self.erased += 1,
        }
        self.seq = link.seq;
        self.last.clone_from(&link.mac);
        self.verified += 1;
        for checkpoint in self.kept.remove(&link.seq).unwrap_or_default() {
            self.compare(&checkpoint)?;
        }
        Ok(())
    }

    /// A checkpoint of the link the walk has just passed.
    fn compare(&mut self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        let fault = |kind| Fault {
            seq: checkpoint.seq,
            event_id: None,
            kind,
        };
        self.is_signed(checkpoint).map_err(fault)?;
        if unhex(&checkpoint.mac).as_ref() != Some(&self.last) {
            return Err(fault(FaultKind::Rewritten));
        }
        self.n_checkpoints += 1;
        Ok(())
    }

    /// A checkpoint of a place that the chain does not reach says that its end is gone.
    fn beyond_the_end(&mut self, stored: &[Checkpoint]) -> Option<Fault> {
        let kept: Vec<Checkpoint> = std::mem::take(&mut self.kept)
            .into_values()
            .flatten()
            .collect();
        let beyond = stored
            .iter()
            .chain(&kept)
            .min_by_key(|checkpoint| checkpoint.seq)?;
        let kind = match self.is_signed(beyond) {
            Ok(()) => FaultKind::CutOff,
            Err(kind) => kind,
        };
        Some(Fault {
            seq: beyond.seq,
            event_id: None,
            kind,
        })
    }

    fn is_signed(&mut self, checkpoint: &Checkpoint) -> Result<(), FaultKind> {
        let key = self
            .key(checkpoint.master_key_version)
            .ok_or(FaultKind::UnknownMasterKey)?;
        match chain::is_genuine(&key, checkpoint) {
            true => Ok(()),
            false => Err(FaultKind::CheckpointForged),
        }
    }

    fn key(&mut self, version: i32) -> Option<DerivedKey> {
        let derive = || {
            self.app
                .master_keys
                .derive_version(version, Purpose::AuditChain)
        };
        self.keys.entry(version).or_insert_with(derive).clone()
    }
}

/// Why nothing could be verified.
#[derive(Debug)]
pub enum VerifyAuditError {
    /// The file of checkpoints, in words.
    File(String),
    /// The database.
    Db(DbError),
}

impl From<DbError> for VerifyAuditError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for VerifyAuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(words) => f.write_str(words),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for VerifyAuditError {}

/// A page is read in milliseconds and fits in memory.
const PAGE: i32 = 1_000;
