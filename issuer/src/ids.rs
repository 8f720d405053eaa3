//! Randomness as a parameter, and the ids made from it.

use std::fmt;
use std::sync::Mutex;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::secret::base64url;

/// Where randomness comes from: the system, or a seed that makes a test repeatable.
pub struct Entropy {
    seeded: Option<Mutex<ChaCha20Rng>>,
}

impl Entropy {
    /// The system's randomness.
    pub fn system() -> Self {
        Self { seeded: None }
    }

    /// A repeatable sequence, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seeded: Some(Mutex::new(ChaCha20Rng::seed_from_u64(seed))),
        }
    }

    /// Random bytes.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system"
    )]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.seeded {
            Some(rng) => rng
                .lock()
                .expect("no holder of this lock panics")
                .fill_bytes(&mut bytes),
            None => getrandom::fill(&mut bytes).expect("the system has randomness"),
        }
        bytes
    }

    /// A user id: 21 characters of the nanoid alphabet, 126 bits.
    pub fn user_id(&self) -> String {
        let mut id = base64url(&self.bytes::<16>());
        id.truncate(USER_ID_LENGTH);
        id
    }

    /// A session id: 128 bits.
    pub fn session_id(&self) -> [u8; 16] {
        self.bytes()
    }

    /// A token id (`jti`) or request id: 128 bits.
    pub fn unique_id(&self) -> String {
        base64url(&self.bytes::<16>())
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

/// 126 of the 132 bits that 22 characters would hold.
const USER_ID_LENGTH: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b, c) = (Entropy::seeded(1), Entropy::seeded(1), Entropy::seeded(2));
        assert_eq!(a.unique_id(), b.unique_id());
        assert_ne!(a.unique_id(), c.unique_id());
    }

    #[test]
    fn user_id_has_the_nanoid_form() {
        let id = Entropy::system().user_id();
        assert_eq!(id.len(), 21);
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
    }
}
