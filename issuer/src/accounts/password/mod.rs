//! Hashing passwords: Argon2id on a bounded pool of threads of lower priority. Hashes that other
//! systems made are checked on the same pool.

mod calibrate;
mod common;
mod foreign;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::{ParamsString, Salt};
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub use calibrate::{Measurement, measure, rate};
pub use common::is_common;
pub use foreign::StoredHash;

use super::model::Password;

/// Whether the client has signed in before; half the slots are kept for those who have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Signed in before from this address or device.
    Known,
    /// A stranger.
    Unknown,
}

/// The pool. Each hash takes 19 MiB and tens of milliseconds of one core, so no more run at a
/// time than there are cores, and whoever would wait too long is turned away at once.
#[derive(Debug)]
pub struct PasswordHasher {
    n_slots: usize,
    slots: Arc<Semaphore>,
    stranger_slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    any_foreign: AtomicBool,
}

impl PasswordHasher {
    /// A pool with one slot for each core.
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            n_slots: cores,
            slots: Arc::new(Semaphore::new(cores)),
            stranger_slots: Arc::new(Semaphore::new(cores.div_ceil(2))),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            any_foreign: AtomicBool::new(false),
        }
    }

    /// Hashes a password into a PHC string.
    ///
    /// # Errors
    /// [`HashError::Busy`] when no slot became free in time.
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; SALT_BYTES],
        client: Client,
    ) -> Result<String, HashError> {
        self.run(client, move || {
            let salt = Salt::new(&salt).map_err(|_| HashError::Failed)?;
            let hash = argon2()
                .hash_password_with_salt(password.expose(), &salt)
                .map_err(|_| HashError::Failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Checks a password. Without a hash, as for an unknown address, the same work is done
    /// and the answer is no.
    ///
    /// # Errors
    /// [`HashError::Busy`] when no slot became free in time.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
        client: Client,
    ) -> Result<Verdict, HashError> {
        self.run(client, move || {
            let known = hash.is_some();
            let verdict = check(&password, hash.as_deref().unwrap_or(DUMMY_HASH))?;
            Ok(if known { verdict } else { Verdict::Wrong })
        })
        .await
    }

    /// Notes whether any user's hash takes another time than today's; see [`Self::even_out`].
    pub fn notice_foreign(&self, any: bool) {
        self.any_foreign.store(any, Ordering::Relaxed);
    }

    /// Waits until a refusal may be answered. While any hash takes another time than today's,
    /// every refusal takes the time that is longer than each of them, so that the time of an
    /// answer does not tell whose account exists and came from elsewhere.
    pub async fn even_out(&self, began: Instant) {
        if self.any_foreign.load(Ordering::Relaxed) {
            tokio::time::sleep_until(began + REFUSAL_TIME).await;
        }
    }

    /// Passwords being hashed or waiting for a slot.
    pub fn queue_length(&self) -> i64 {
        let hashing = self.n_slots - self.slots.available_permits();
        let waiting = MAX_WAITING - self.waiting.available_permits().min(MAX_WAITING);
        i64::try_from(hashing + waiting).unwrap_or(i64::MAX)
    }

    async fn run<T: Send + 'static>(
        &self,
        client: Client,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let permits = tokio::time::timeout(QUEUE_DEADLINE, self.slot(client)).await;
        let permits = permits.map_err(|_| HashError::Busy)??;
        let result = tokio::task::spawn_blocking(move || {
            lower_priority();
            let result = work();
            drop(permits);
            result
        });
        result.await.map_err(|_| HashError::Failed)?
    }

    async fn slot(&self, client: Client) -> Result<Vec<OwnedSemaphorePermit>, HashError> {
        let _place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| HashError::Busy)?;
        let mut permits = Vec::with_capacity(2);
        if client == Client::Unknown {
            permits.push(acquire(&self.stranger_slots).await?);
        }
        permits.push(acquire(&self.slots).await?);
        Ok(permits)
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, HashError> {
    Arc::clone(semaphore)
        .acquire_owned()
        .await
        .map_err(|_| HashError::Failed)
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Right,
    /// It is right, and its hash was made with other parameters than today's.
    RightButOutdated,
    /// It is wrong, or there is none.
    Wrong,
}

/// Why a password could not be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashError {
    /// Too many are waiting.
    Busy,
    /// The stored hash cannot be read, or the pool is gone.
    Failed,
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many passwords are waiting to be hashed",
            Self::Failed => "the password could not be hashed",
        })
    }
}

impl std::error::Error for HashError {}

fn check(password: &Password, hash: &str) -> Result<Verdict, HashError> {
    let (matches, is_current) = match StoredHash::parse(hash).ok_or(HashError::Failed)? {
        StoredHash::Argon2id(text) => {
            let parsed = PasswordHash::new(text).map_err(|_| HashError::Failed)?;
            let matches = argon2().verify_password(password.expose(), &parsed).is_ok();
            (matches, is_current(&parsed))
        }
        StoredHash::Bcrypt(text) => (foreign::bcrypt_matches(password.expose(), text), false),
        StoredHash::Scrypt { salt, key } => {
            (foreign::scrypt_matches(password.expose(), salt, key), false)
        }
    };
    Ok(match (matches, is_current) {
        (false, _) => Verdict::Wrong,
        (true, true) => Verdict::Right,
        (true, false) => Verdict::RightButOutdated,
    })
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn is_current(hash: &PasswordHash) -> bool {
    let expected = ParamsString::try_from(argon2().params());
    hash.algorithm.as_str() == "argon2id" && expected.is_ok_and(|expected| hash.params == expected)
}

/// Threads of the blocking pool hash and little else; requests come first.
fn lower_priority() {
    // Linux applies the priority of a process id to the thread of that id.
    let _unprivileged_may_lower =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), HASHING_NICENESS);
}

/// OWASP's first recommendation for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// RFC 9106 section 3.1 recommends 128 bits.
pub const SALT_BYTES: usize = 16;
/// Longer waits would outlast the patience of clients, who then try again and make it worse.
const QUEUE_DEADLINE: Duration = Duration::from_secs(2);
/// More cannot be served within the deadline on any machine we know.
const MAX_WAITING: usize = 512;
const HASHING_NICENESS: i32 = 10;
/// Longer than the costliest hash that is accepted takes on a machine of today; `tollgate calibrate`
/// says what it takes on this one.
pub const REFUSAL_TIME: Duration = Duration::from_millis(300);
/// The hash of a random password that nobody knows, checked when there is no user.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk";

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).expect("long enough")
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let hasher = PasswordHasher::start();
        let hash = hasher
            .hash(password("correct horse"), [1; 16], Client::Unknown)
            .await
            .expect("hashed");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify =
            |text: &str, hash: Option<String>| hasher.verify(password(text), hash, Client::Known);
        assert_eq!(
            verify("correct horse", Some(hash.clone())).await,
            Ok(Verdict::Right)
        );
        assert_eq!(
            verify("battery staple", Some(hash)).await,
            Ok(Verdict::Wrong)
        );
        assert_eq!(verify("correct horse", None).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn a_hash_with_older_parameters_is_right_but_outdated() {
        let params = Params::new(8 * 1024, 1, 1, None).expect("valid");
        let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_with_salt(b"correct horse", &Salt::new(&[1; 16]).expect("salt"))
            .expect("hashed")
            .to_string();
        let verdict = PasswordHasher::start()
            .verify(password("correct horse"), Some(old), Client::Known)
            .await;
        assert_eq!(verdict, Ok(Verdict::RightButOutdated));
    }

    #[tokio::test]
    async fn hashes_of_other_systems_are_right_but_outdated() {
        let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let verdict = PasswordHasher::start()
            .verify(password("not U*U."), Some(bcrypt.into()), Client::Known)
            .await;
        assert_eq!(verdict, Ok(Verdict::Wrong));
        let made = bcrypt::hash_with_salt("correct horse", 4, [1; 16])
            .expect("hashed")
            .to_string();
        let verdict = PasswordHasher::start()
            .verify(password("correct horse"), Some(made), Client::Known)
            .await;
        assert_eq!(verdict, Ok(Verdict::RightButOutdated));
        let unreadable = PasswordHasher::start()
            .verify(
                password("correct horse"),
                Some("plain".into()),
                Client::Known,
            )
            .await;
        assert_eq!(unreadable, Err(HashError::Failed));
    }

    #[tokio::test]
    async fn refusals_take_one_time_only_while_there_are_hashes_of_other_systems() {
        let hasher = PasswordHasher::start();
        let began = Instant::now();
        hasher.even_out(began).await;
        assert!(began.elapsed() < REFUSAL_TIME);
        hasher.notice_foreign(true);
        hasher.even_out(began).await;
        assert!(began.elapsed() >= REFUSAL_TIME);
    }

    #[tokio::test]
    async fn strangers_cannot_take_every_slot() {
        let hasher = PasswordHasher {
            n_slots: 2,
            slots: Arc::new(Semaphore::new(2)),
            stranger_slots: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            any_foreign: AtomicBool::new(false),
        };
        let _stranger = hasher
            .slot(Client::Unknown)
            .await
            .expect("the first stranger");
        let second =
            tokio::time::timeout(Duration::from_millis(10), hasher.slot(Client::Unknown)).await;
        assert!(second.is_err(), "the second stranger waits");
        assert!(
            hasher.slot(Client::Known).await.is_ok(),
            "a known client does not"
        );
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_at_once() {
        let hasher = PasswordHasher {
            n_slots: 1,
            slots: Arc::new(Semaphore::new(1)),
            stranger_slots: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(0)),
            any_foreign: AtomicBool::new(false),
        };
        let refused = hasher
            .hash(password("correct horse"), [1; 16], Client::Known)
            .await;
        assert_eq!(refused, Err(HashError::Busy));
    }
}
