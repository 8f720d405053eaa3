//! The feed in memory: the signed document, what it says, and what this issuer ended itself
//! a moment ago.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use shared_claims::{AccessClaims, Revocations, Verified, VerifyError};
use tokio::sync::Notify;

use super::store::Entry;
use crate::secret::{base64url, sha256};

/// What this issuer knows of revocations.
#[derive(Debug, Default)]
pub struct Feed {
    current: ArcSwapOption<FeedDocument>,
    ended_here: Mutex<VecDeque<String>>,
    wake: Notify,
}

/// One published document.
#[derive(Debug)]
pub struct FeedDocument {
    /// Raised when the database was restored from a backup.
    pub epoch: i64,
    /// The last number in it.
    pub seq: i64,
    /// The database's time when it was published, Unix seconds.
    pub as_of: i64,
    /// New tokens carry no earlier time than this.
    pub reject_before: Option<i64>,
    /// The signed bytes every issuer serves.
    pub jws: String,
    /// Its entity tag.
    pub etag: String,
    /// Its entries with their numbers, for deltas.
    pub(super) entries: Vec<Entry>,
    pub(super) revocations: Revocations,
}

impl Feed {
    /// The document being served; `None` until the first was published or read.
    pub fn current(&self) -> Option<Arc<FeedDocument>> {
        self.current.load_full()
    }

    pub(super) fn replace(&self, document: FeedDocument) {
        self.current.store(Some(Arc::new(document)));
    }

    /// Notes sessions that this issuer has just ended, so that their tokens are refused here
    /// from this moment, and wakes the publisher.
    pub fn sessions_ended(&self, session_ids: impl IntoIterator<Item = String>) {
        let mut ended = self
            .ended_here
            .lock()
            .expect("no holder of this lock panics");
        ended.extend(session_ids);
        let surplus = ended.len().saturating_sub(MAX_REMEMBERED);
        ended.drain(..surplus);
        drop(ended);
        self.wake.notify_one();
    }

    /// Waits until this issuer has something to publish.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Checks a verified token against the feed.
    ///
    /// # Errors
    /// [`VerifyError::Revoked`].
    pub fn check(&self, token: &Verified<AccessClaims>) -> Result<(), VerifyError> {
        if let Some(document) = &*self.current.load() {
            document.revocations.check(token)?;
        }
        let ended = self
            .ended_here
            .lock()
            .expect("no holder of this lock panics");
        match ended.iter().any(|sid| *sid == token.sid) {
            true => Err(VerifyError::Revoked),
            false => Ok(()),
        }
    }
}

/// An entity tag over the signed bytes.
pub(super) fn etag(jws: &str) -> String {
    format!("\"{}\"", base64url(&sha256(jws.as_bytes())[..16]))
}

/// Only bridges the quarter of a second until the feed has them.
const MAX_REMEMBERED: usize = 256;
