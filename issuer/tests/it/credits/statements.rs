//! Counts the statements that go to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Subscriber, set_default};
use tracing::{Event, Metadata};

/// Counts what this thread sends until it is dropped.
pub struct Counter {
    n: Arc<AtomicUsize>,
    _guard: DefaultGuard,
}

impl Counter {
    /// How many since the last time.
    pub fn take(&self) -> usize {
        self.n.swap(0, Ordering::SeqCst)
    }
}

/// Begins to count.
pub fn count() -> Counter {
    let n = Arc::new(AtomicUsize::new(0));
    let guard = set_default(Listener(Arc::clone(&n)));
    Counter { n, _guard: guard }
}

/// Hears of every statement, because the driver logs each one when it is done.
struct Listener(Arc<AtomicUsize>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
