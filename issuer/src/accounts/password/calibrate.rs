//! How long hashing takes on this machine.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use super::argon2id::{LANES, MEMORY_KIB, PASSES};
use super::foreign;

/// One kind of hash and the time it takes on one core.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The kind, with its parameters.
    pub name: String,
    /// Memory in MiB; 0 where it does not count.
    pub memory_mib: u32,
    /// The median of several runs.
    pub time: Duration,
    /// Whether new passwords are hashed so.
    pub is_ours: bool,
}

/// Measures Argon2id with the parameters that OWASP and RFC 9106 recommend, and the hashes that
/// are accepted from other systems.
pub fn measure() -> Vec<Measurement> {
    let ours = CANDIDATES.iter().map(|&(memory_kib, passes)| Measurement {
        name: format!("argon2id m={} MiB t={passes} p={LANES}", memory_kib / 1024),
        memory_mib: memory_kib / 1024,
        time: median(|| argon2id(memory_kib, passes)),
        is_ours: (memory_kib, passes) == (MEMORY_KIB, PASSES),
    });
    let other = |name: &str, time| Measurement {
        name: name.to_owned(),
        memory_mib: 0,
        time,
        is_ours: false,
    };
    let key = "0".repeat(128);
    ours.chain([
        other(
            "bcrypt cost 10",
            median(|| foreign::bcrypt_matches(PASSWORD, BCRYPT_10)),
        ),
        other(
            "bcrypt cost 12",
            median(|| foreign::bcrypt_matches(PASSWORD, BCRYPT_12)),
        ),
        other(
            "scrypt of Better Auth",
            median(|| foreign::scrypt_matches(PASSWORD, "0123456789abcdef", &key)),
        ),
    ])
    .collect()
}

/// Hashes so many passwords in this time on all cores, as new ones are hashed and with nothing
/// else to do: the most that sign-ins can reach.
pub fn rate(within: Duration) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (over, n_hashed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    argon2id(MEMORY_KIB, PASSES);
                    n_hashed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::park_timeout(within);
        over.store(true, Ordering::Relaxed);
        n_hashed.load(Ordering::Relaxed)
    })
}

fn argon2id(memory_kib: u32, passes: u32) {
    let params = Params::new(memory_kib, passes, LANES, None)
        .expect("the parameters are within Argon2's bounds");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = [0; 32];
    argon2
        .hash_password_into(PASSWORD, b"0123456789abcdef", &mut key)
        .expect("password and salt are within Argon2's bounds");
}

fn median<T>(work: impl Fn() -> T) -> Duration {
    let mut times = [Duration::ZERO; RUNS];
    for time in &mut times {
        let began = Instant::now();
        std::hint::black_box(work());
        *time = began.elapsed();
    }
    times.sort_unstable();
    times[RUNS / 2]
}

const PASSWORD: &[u8] = b"a password to measure with";
const BCRYPT_10: &str = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const BCRYPT_12: &str = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// The first three are of equal strength by OWASP, the last is RFC 9106's second recommendation.
const CANDIDATES: [(u32, u32); 5] = [
    (19 * 1024, 2),
    (12 * 1024, 3),
    (46 * 1024, 1),
    (32 * 1024, 3),
    (64 * 1024, 3),
];
/// Odd, and enough to pass over a disturbance.
const RUNS: usize = 5;
