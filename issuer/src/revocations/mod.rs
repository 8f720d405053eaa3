//! The revocation feed: how verifiers learn within seconds what they must refuse.
//!
//! 1. An act writes its entry in its own transaction, without a number and without a lock on
//!    anything shared.
//! 2. One publisher, whichever issuer gets the lock, numbers what has committed and signs the
//!    document; every issuer serves those bytes. A number taken earlier could commit later
//!    than its successor and would then be missed.
//! 3. `asOf` is the database's time at the moment of publishing. It is never renewed while the
//!    database is away, so that the age of what a verifier holds is true.
//! 4. An entry stays until the last token it concerns has expired everywhere. Above
//!    [`MAX_ENTRIES`] one `rejectBefore` takes their place and clients refresh.

mod api;
mod feed;
mod publish;
mod store;
mod sweep;

pub use api::FeedApi;
pub use feed::{Feed, FeedDocument};
pub use publish::{PublishError, publish, reload};
pub use store::cut_off_all_tokens;
pub use sweep::sweep;

/// Keeps the document below 160 KB and a delta far below.
pub const MAX_ENTRIES: usize = 10_000;
