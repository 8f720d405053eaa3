//! Hashing passwords: Argon2id on a bounded pool of threads of lower priority. Hashes that other
//! systems made are checked on the same pool.

mod argon2id;
mod calibrate;
mod common;
mod foreign;
mod pool;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use argon2id::Memory;
pub use calibrate::{Measurement, measure, rate};
pub use common::is_common;
pub use foreign::StoredHash;
use pool::Pool;

use super::model::Password;
use crate::metrics::HashingMetrics;

/// Whether the client has signed in before; half the threads are kept for those who have.
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
    pool: Pool,
    any_foreign: AtomicBool,
}

impl PasswordHasher {
    /// A pool with one thread for each core.
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            pool: Pool::start(cores),
            any_foreign: AtomicBool::new(false),
        }
    }

    /// Hashes a password into a PHC string.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it was not hashed in time.
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; SALT_BYTES],
        client: Client,
    ) -> Result<String, HashError> {
        let work = move |memory: &mut Memory| argon2id::hash(memory, password.expose(), salt);
        self.pool.run(client, work).await
    }

    /// Checks a password. Without a hash, as for an unknown address, the same work is done
    /// and the answer is no.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it was not checked in time.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
        client: Client,
    ) -> Result<Verdict, HashError> {
        let work = move |memory: &mut Memory| {
            let known = hash.is_some();
            let verdict = check(memory, &password, hash.as_deref().unwrap_or(DUMMY_HASH))?;
            Ok(if known { verdict } else { Verdict::Wrong })
        };
        self.pool.run(client, work).await
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

    /// What was hashed so far, with the length of the queue at this moment.
    pub fn metrics(&self) -> &HashingMetrics {
        self.pool.metrics()
    }
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

fn check(memory: &mut Memory, password: &Password, hash: &str) -> Result<Verdict, HashError> {
    let (matches, is_current) = match StoredHash::parse(hash).ok_or(HashError::Failed)? {
        StoredHash::Argon2id(text) => argon2id::matches(memory, password.expose(), text)?,
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

/// RFC 9106 section 3.1 recommends 128 bits.
pub const SALT_BYTES: usize = 16;
/// Longer than the costliest hash that is accepted takes on a machine of today; `tollgate calibrate`
/// says what it takes on this one.
pub const REFUSAL_TIME: Duration = Duration::from_millis(300);
/// The hash of a random password that nobody knows, checked when there is no user.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk";

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, phc::Salt};
    use argon2::{Algorithm, Argon2, Params, Version};

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
}
