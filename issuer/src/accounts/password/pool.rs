//! Threads that hash passwords, one for each core and of lower priority than the rest. They take
//! their work from the queue themselves: a core that has finished a hash begins the next at once.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::argon2id::Memory;
use super::{Client, HashError};
use crate::metrics::HashingMetrics;

/// The threads; they end when this is dropped.
pub struct Pool {
    shared: Arc<Shared>,
    metrics: HashingMetrics,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified once for each piece of work, and for all when the pool ends.
    changed: Condvar,
    /// Half of the threads, the larger half: the rest are kept for known clients.
    max_strangers: usize,
}

/// Work that is waiting, and how much is being done.
#[derive(Default)]
struct Queue {
    known: VecDeque<Job>,
    strangers: VecDeque<Job>,
    n_hashing: usize,
    n_strangers_hashing: usize,
    stranger_was_last: bool,
    is_closed: bool,
}

/// Gives what tells the one who waits; it is told when the work no longer counts as being done.
type Job = Box<dyn FnOnce(&mut Memory) -> Reply + Send>;
type Reply = Box<dyn FnOnce() + Send>;

impl Pool {
    /// Starts so many threads.
    pub fn start(n_threads: usize) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            max_strangers: n_threads.div_ceil(2),
        });
        for _ in 0..n_threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("hashing".into())
                .spawn(move || shared.run())
                .expect("the system has threads when the program starts");
        }
        Self {
            shared,
            metrics: HashingMetrics::new(MAX_WAITING),
        }
    }

    /// Runs work on one of the threads; what nobody waits for any more is not begun.
    ///
    /// # Errors
    /// [`HashError::Busy`] when too many wait already, or the answer took too long.
    pub async fn run<T: Send + 'static>(
        &self,
        client: Client,
        work: impl FnOnce(&mut Memory) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let began = Instant::now();
        let (outcome, result) = self.queue(client, work).await;
        self.metrics.finished(outcome, began.elapsed());
        result
    }

    /// The name of what happened, and the same for the caller.
    async fn queue<T: Send + 'static>(
        &self,
        client: Client,
        work: impl FnOnce(&mut Memory) -> Result<T, HashError> + Send + 'static,
    ) -> (&'static str, Result<T, HashError>) {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            let result = (!answer.is_closed()).then(|| work(memory));
            Box::new(move || {
                // It fails when nobody waits any more.
                let _ = result.map(|result| answer.send(result));
            })
        });
        if let Err(error) = self.shared.queue().push(client, job) {
            return ("queue_full", Err(error));
        }
        self.shared.changed.notify_one();
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(Ok(result))) => ("done", Ok(result)),
            Ok(Ok(Err(error))) => ("failed", Err(error)),
            Ok(Err(_)) => ("failed", Err(HashError::Failed)),
            Err(_) => ("late", Err(HashError::Busy)),
        }
    }

    /// What was hashed so far, with the length of the queue at this moment.
    pub fn metrics(&self) -> &HashingMetrics {
        let queue = self.shared.queue();
        let length = queue.n_hashing + queue.n_waiting();
        self.metrics
            .queue_length(i64::try_from(length).unwrap_or(i64::MAX));
        &self.metrics
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder of this lock panics")
    }

    /// What each thread does until the pool ends.
    fn run(&self) {
        lower_priority();
        let mut memory = Memory::default();
        while let Some((client, job)) = self.next(&mut memory) {
            // A thread that ended would be missed for as long as the program runs.
            let reply = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
            self.queue().done(client);
            let _ = reply.map(|reply| reply());
            if client == Client::Unknown {
                // Another thread may have passed a stranger over on account of this one.
                self.changed.notify_one();
            }
        }
    }

    /// The next piece of work; `None` when the pool has ended. Memory that is not needed for a
    /// while is given back.
    fn next(&self, memory: &mut Memory) -> Option<(Client, Job)> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(found) = queue.take(self.max_strangers) {
                return Some(found);
            }
            let (woken, waited) = self
                .changed
                .wait_timeout(queue, IDLE)
                .expect("no holder of this lock panics");
            if waited.timed_out() {
                memory.release();
            }
            queue = woken;
        }
    }
}

impl Queue {
    fn n_waiting(&self) -> usize {
        self.known.len() + self.strangers.len()
    }

    fn push(&mut self, client: Client, job: Job) -> Result<(), HashError> {
        if self.n_waiting() >= MAX_WAITING {
            return Err(HashError::Busy);
        }
        match client {
            Client::Known => self.known.push_back(job),
            Client::Unknown => self.strangers.push_back(job),
        }
        Ok(())
    }

    /// Both in turn while both wait, so that neither can keep the other waiting for good.
    fn take(&mut self, max_strangers: usize) -> Option<(Client, Job)> {
        let may_be_stranger = self.n_strangers_hashing < max_strangers;
        let known_first = self.stranger_was_last || !may_be_stranger;
        let (client, job) = match known_first.then(|| self.known.pop_front()).flatten() {
            Some(job) => (Client::Known, job),
            None => match may_be_stranger
                .then(|| self.strangers.pop_front())
                .flatten()
            {
                Some(job) => (Client::Unknown, job),
                None => (Client::Known, self.known.pop_front()?),
            },
        };
        self.stranger_was_last = client == Client::Unknown;
        self.n_hashing += 1;
        self.n_strangers_hashing += usize::from(self.stranger_was_last);
        Some((client, job))
    }

    fn done(&mut self, client: Client) {
        self.n_hashing -= 1;
        self.n_strangers_hashing -= usize::from(client == Client::Unknown);
    }
}

/// Requests come first.
fn lower_priority() {
    // Linux applies the priority of a process id to the thread of that id.
    let _unprivileged_may_lower =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

/// Longer waits would outlast the patience of clients, who then try again and make it worse.
const DEADLINE: Duration = Duration::from_secs(2);
/// More cannot be served within the deadline on any machine we know.
const MAX_WAITING: usize = 512;
/// Memory is kept while sign-ins follow upon each other, not while nobody signs in.
const IDLE: Duration = Duration::from_secs(1);
const NICENESS: i32 = 10;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn job() -> Job {
        Box::new(|_| Box::new(|| ()))
    }

    fn taken(queue: &mut Queue, max_strangers: usize) -> Option<Client> {
        queue.take(max_strangers).map(|(client, _)| client)
    }

    #[test]
    fn strangers_cannot_take_every_thread() {
        let mut queue = Queue::default();
        for client in [Client::Unknown, Client::Unknown, Client::Known] {
            queue.push(client, job()).expect("there is room");
        }
        assert_eq!(taken(&mut queue, 1), Some(Client::Unknown));
        assert_eq!(taken(&mut queue, 1), Some(Client::Known));
        assert_eq!(taken(&mut queue, 1), None, "the second stranger waits");
        queue.done(Client::Unknown);
        assert_eq!(taken(&mut queue, 1), Some(Client::Unknown));
    }

    #[test]
    fn neither_strangers_nor_known_clients_keep_the_others_waiting_on_one_core() {
        let mut queue = Queue::default();
        for client in [Client::Unknown, Client::Known] {
            for _ in 0..2 {
                queue.push(client, job()).expect("there is room");
            }
        }
        let mut order = Vec::new();
        while let Some(client) = taken(&mut queue, 1) {
            queue.done(client);
            order.push(client);
        }
        let [stranger, known] = [Client::Unknown, Client::Known];
        assert_eq!(order, [stranger, known, stranger, known]);
    }

    #[test]
    fn full_queue_turns_away_at_once() {
        let mut queue = Queue::default();
        for _ in 0..MAX_WAITING {
            queue.push(Client::Unknown, job()).expect("there is room");
        }
        assert_eq!(queue.push(Client::Known, job()), Err(HashError::Busy));
    }

    #[test]
    fn work_that_is_answered_is_no_longer_counted() {
        let pool = Pool::start(1);
        let shared = Arc::clone(&pool.shared);
        let (tell, told) = mpsc::channel();
        let job: Job = Box::new(move |_| {
            Box::new(move || {
                let n_hashing = shared.queue().n_hashing;
                tell.send(n_hashing).expect("the test waits");
            })
        });
        let pushed = pool.shared.queue().push(Client::Known, job);
        pool.shared.changed.notify_one();
        assert_eq!((pushed, told.recv()), (Ok(()), Ok(0)));
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone() {
        let pool = Pool::start(1);
        let lost = pool
            .run(Client::Known, |_| -> Result<(), HashError> {
                panic!("a defect")
            })
            .await;
        assert_eq!(lost, Err(HashError::Failed));
        assert_eq!(pool.run(Client::Unknown, |_| Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_begun() {
        let pool = Pool::start(1);
        let (release, released) = mpsc::channel();
        let held = pool.run(Client::Known, move |_| {
            released.recv().map_err(|_| HashError::Failed)
        });
        let (begun, has_begun) = mpsc::channel();
        let given_up = pool.run(Client::Known, move |_| {
            begun.send(()).map_err(|_| HashError::Failed)
        });
        let mut given_up = Box::pin(given_up);
        let (held, ()) = tokio::join!(held, async {
            // Polled once, so that it waits in the queue, and dropped.
            assert!(futures_util::poll!(&mut given_up).is_pending());
            drop(given_up);
            release.send(()).expect("the thread waits");
        });
        assert_eq!(held, Ok(()));
        assert_eq!(pool.run(Client::Known, |_| Ok(())).await, Ok(()));
        assert!(has_begun.try_recv().is_err());
    }
}
