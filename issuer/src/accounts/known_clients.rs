//! Clients that signed in before: they keep their slots and budgets while strangers press.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

/// A bounded memory of who signed in; the oldest are forgotten.
#[derive(Debug, Default)]
pub struct KnownClients {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

impl KnownClients {
    /// Notes a client that signed in.
    pub fn remember(&self, digest: [u8; 16]) {
        let mut inner = self.inner.lock().expect("no holder of this lock panics");
        if inner.known.insert(digest) {
            inner.order.push_back(digest);
        }
        if inner.order.len() > MAX_KNOWN
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.known.remove(&oldest);
        }
    }

    /// Whether the client signed in before.
    pub fn contains(&self, digest: [u8; 16]) -> bool {
        self.inner
            .lock()
            .expect("no holder of this lock panics")
            .known
            .contains(&digest)
    }
}

/// About 5 MB.
const MAX_KNOWN: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_when_the_memory_is_full() {
        let known = KnownClients::default();
        let digest = |i: usize| u128::try_from(i).expect("fits").to_be_bytes();
        for i in 0..=MAX_KNOWN {
            known.remember(digest(i));
        }
        assert!(!known.contains(digest(0)));
        assert!(known.contains(digest(1)) && known.contains(digest(MAX_KNOWN)));
    }
}
