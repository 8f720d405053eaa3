//! Connections that go from one operation to the next without asking the server.
//!
//! The driver's pool asks the server at every return whether the connection is still in order: a
//! task and a round trip more, for what was often one round trip. A lease that is finished after
//! an answer was read to its end needs no such question. Everything else (an error, a caller that
//! is gone, a transaction) goes the driver's way.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A connection for one operation.
pub struct Lease {
    /// Gone only when it was finished.
    connection: Option<PoolConnection<Postgres>>,
    taken: Instant,
    resting: Arc<Resting>,
    /// Given back last, when the connection lies where the next one looks.
    _place: OwnedSemaphorePermit,
}

impl Lease {
    /// Hands the connection on. Only after an answer that was read to its end, and with no
    /// transaction open.
    pub fn finish(mut self) {
        let now = Instant::now();
        if now - self.taken < KEPT_FOR
            && let Some(connection) = self.connection.take()
        {
            self.resting.put(connection, self.taken, now);
        }
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection
            .as_ref()
            .expect("there until it is finished")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection
            .as_mut()
            .expect("there until it is finished")
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// The connections that were finished, and places for as many leases and transactions as there
/// may be connections. Whoever has a place finds one here or in the driver's pool: nobody waits
/// in the one for what lies in the other.
pub struct Resting {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    is_closed: bool,
}

struct Idle {
    connection: PoolConnection<Postgres>,
    taken: Instant,
    since: Instant,
}

impl Resting {
    pub(super) fn new(max_connections: u32) -> Self {
        let n_places = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(n_places)),
            state: Mutex::default(),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(
        &self,
        within: Duration,
    ) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        let places = Arc::clone(&self.places);
        match tokio::time::timeout(within, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_elapsed) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// The connection that was finished last, if it is fresh enough to be believed in. One that
    /// is not goes back to the driver's pool with all others, and the server is asked.
    pub(super) fn take(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
    ) -> Result<Lease, OwnedSemaphorePermit> {
        let mut state = self.state();
        let Some(idle) = state.idle.pop() else {
            return Err(place);
        };
        if idle.since.elapsed() < TRUSTED_IDLE {
            return Ok(self.lease(idle.connection, idle.taken, place));
        }
        let stale = std::mem::take(&mut state.idle);
        drop(state);
        drop((idle, stale));
        Err(place)
    }

    /// A lease of a connection of the driver's pool.
    pub(super) fn lease(
        self: &Arc<Self>,
        connection: PoolConnection<Postgres>,
        taken: Instant,
        place: OwnedSemaphorePermit,
    ) -> Lease {
        Lease {
            connection: Some(connection),
            taken,
            resting: Arc::clone(self),
            _place: place,
        }
    }

    /// Gives one back to the driver's pool, for a transaction that has a place there.
    pub(super) fn give_back_one(&self) {
        let idle = self.state().idle.pop();
        drop(idle);
    }

    pub(super) fn n_idle(&self) -> usize {
        self.state().idle.len()
    }

    /// Gives all of them back, and whatever is finished from now on.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    fn put(&self, connection: PoolConnection<Postgres>, taken: Instant, since: Instant) {
        let mut state = self.state();
        if !state.is_closed {
            state.idle.push(Idle {
                connection,
                taken,
                since,
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl fmt::Debug for Resting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resting").finish_non_exhaustive()
    }
}

/// A connection used within the last second is taken as alive.
pub(super) const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Then it goes back to the driver's pool, which knows how old a connection may become.
const KEPT_FOR: Duration = Duration::from_secs(10);
