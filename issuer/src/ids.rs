//! Randomness as a parameter, and the ids made from it.

use std::cell::RefCell;
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

    /// A token id (`jti`) or the id of something new: 128 bits.
    pub fn unique_id(&self) -> String {
        base64url(&self.bytes::<16>())
    }

    /// The id of a request: 128 bits, which tell requests apart and protect nothing. The system is
    /// asked for those of many requests at once: asking for each was a thirtieth of a small answer.
    pub fn request_id(&self) -> String {
        if self.seeded.is_some() {
            return self.unique_id();
        }
        AHEAD.with_borrow_mut(|ahead| {
            if ahead.is_empty() {
                ahead.extend_from_slice(self.bytes::<BYTES_AHEAD>().as_chunks().0);
            }
            let id: [u8; 16] = ahead.pop().unwrap_or_else(|| self.bytes());
            base64url(&id)
        })
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

thread_local! {
    /// Ids of requests to come.
    static AHEAD: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

/// Those of 64 requests.
const BYTES_AHEAD: usize = 64 * 16;
/// 126 of the 132 bits that 22 characters would hold.
const USER_ID_LENGTH: usize = 21;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b, c) = (Entropy::seeded(1), Entropy::seeded(1), Entropy::seeded(2));
        assert_eq!(a.unique_id(), b.unique_id());
        assert_ne!(a.unique_id(), c.unique_id());
    }

    #[test]
    fn ids_of_requests_are_of_one_form_and_never_the_same() {
        let entropy = Entropy::system();
        let ids: Vec<_> = (0..1_000).map(|_| entropy.request_id()).collect();
        assert!(ids.iter().all(|id| id.len() == 22));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
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
