//! Charges that wait for the database at the same moment share one transaction.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::fingerprint::Fingerprint;
use super::model::Principal;
use super::store::{self, ChargeRow};
use super::use_credits::Charge;
use crate::config::CreditsConfig;
use crate::db::{self, Db, DbError};

/// A charge with all that the ledger wants to know of it.
#[derive(Debug)]
pub struct ChargeRequest {
    /// Whose credits.
    pub user_id: String,
    /// What is spent.
    pub charge: Charge,
    /// Who asks.
    pub principal: Principal,
    /// The idempotency key they chose.
    pub key: Option<String>,
    /// What a request with that key must ask for again.
    pub fingerprint: Fingerprint,
}

/// Sends charges to the ledger. While a lane is at work its next charges gather; what has
/// gathered goes in one transaction. A charge that comes alone goes at once.
pub struct Batcher {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    config: CreditsConfig,
    lanes: Vec<Mutex<Lane>>,
}

/// The accounts of one lane are charged one batch after the other, in the order of arrival.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    is_running: bool,
}

struct Waiting {
    request: ChargeRequest,
    answer: oneshot::Sender<Result<ChargeRow, DbError>>,
}

impl Batcher {
    /// Begins with nothing to do.
    pub fn new(db: Db, config: CreditsConfig) -> Self {
        let lanes = (0..N_LANES).map(|_| Mutex::default()).collect();
        Self {
            shared: Arc::new(Shared { db, config, lanes }),
        }
    }

    /// Charges, together with whatever waits at that moment. It is done even when the caller
    /// stops waiting.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] also when too many are waiting.
    pub async fn charge(&self, request: ChargeRequest) -> Result<ChargeRow, DbError> {
        let index = lane_of(&request.user_id);
        let (answer, answered) = oneshot::channel();
        if self.shared.enter(index, Waiting { request, answer })? {
            tokio::spawn(run(Arc::clone(&self.shared), index));
        }
        answered.await.map_err(|_| overloaded())?
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

impl Shared {
    fn lane(&self, index: usize) -> MutexGuard<'_, Lane> {
        self.lanes[index]
            .lock()
            .expect("no holder of this lock panics")
    }

    /// Queues a charge and says whether its lane must be set to work.
    fn enter(&self, index: usize, waiting: Waiting) -> Result<bool, DbError> {
        let mut lane = self.lane(index);
        if lane.waiting.len() >= MAX_WAITING {
            return Err(overloaded());
        }
        lane.waiting.push_back(waiting);
        let was_running = std::mem::replace(&mut lane.is_running, true);
        Ok(!was_running)
    }

    /// What waits, up to a batch; the lane rests when that is nothing.
    fn next_batch(&self, index: usize) -> Vec<Waiting> {
        let mut lane = self.lane(index);
        let n_charges = lane.waiting.len().min(MAX_BATCH);
        lane.is_running = n_charges > 0;
        lane.waiting.drain(..n_charges).collect()
    }
}

async fn run(shared: Arc<Shared>, index: usize) {
    loop {
        let mut batch = shared.next_batch(index);
        // A lane whose task is gone would never be emptied again; those who waited hear of it
        // because their channel closes.
        let work = AssertUnwindSafe(async {
            match batch.len() {
                0 => return false,
                1 => alone(&shared, batch.remove(0)).await,
                _ => together(&shared, batch).await,
            }
            true
        });
        if matches!(work.catch_unwind().await, Ok(false)) {
            return;
        }
    }
}

/// Charges one. Should its account be held by somebody else for long, the lane goes on.
async fn alone(shared: &Arc<Shared>, waiting: Waiting) {
    let mut work = Box::pin(charge_alone(Arc::clone(shared), waiting));
    if tokio::time::timeout(PATIENCE, &mut work).await.is_err() {
        // Its answer goes to who waits for it, later.
        tokio::spawn(work);
    }
}

/// Answers the one who waits.
async fn charge_alone(shared: Arc<Shared>, waiting: Waiting) {
    let row = db::limited(async {
        let mut connection = shared.db.acquire().await?;
        let row = store::use_credits(&mut connection, &waiting.request, &shared.config).await?;
        connection.finish();
        Ok(row)
    });
    // It fails when nobody waits any more.
    let _ = waiting.answer.send(row.await);
}

async fn together(shared: &Arc<Shared>, batch: Vec<Waiting>) {
    let (requests, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.request, waiting.answer))
        .unzip();
    let rows = db::limited(async {
        let mut connection = shared.db.acquire().await?;
        let rows = store::use_credits_batch(&mut connection, &requests, &shared.config).await?;
        connection.finish();
        Ok(rows)
    });
    match rows.await {
        Ok(rows) => {
            for ((request, answer), row) in requests.into_iter().zip(answers).zip(rows) {
                if row.outcome == ALONE {
                    let waiting = Waiting { request, answer };
                    tokio::spawn(charge_alone(Arc::clone(shared), waiting));
                } else {
                    let _ = answer.send(Ok(row));
                }
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.for_another()));
            }
        }
    }
}

fn lane_of(user_id: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    user_id.hash(&mut hasher);
    usize::try_from(hasher.finish() % N_LANES as u64).unwrap_or(0)
}

fn overloaded() -> DbError {
    DbError::Unavailable(sqlx::Error::PoolTimedOut)
}

/// The answer of the database for a charge that could not be made with the others.
const ALONE: &str = "alone";
/// Two transactions at a time keep a server of a few cores busy, and leave most to gather.
const N_LANES: usize = 2;
/// Well under the 64 savepoints that the server remembers without going to disk.
const MAX_BATCH: usize = 50;
/// More could not be charged before their clients give up.
const MAX_WAITING: usize = 2000;
/// Longer than an undisturbed charge takes.
const PATIENCE: Duration = Duration::from_millis(50);
