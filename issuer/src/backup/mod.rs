//! Backups: the whole database in one file, and back.
//!
//! 1. The master key is never in the file. The file says by fingerprint which one it needs.
//! 2. A file is read whole and its seal verified before a database is touched: what it holds runs
//!    with a superuser's rights.
//! 3. A restore is all or nothing, into an empty database. Until it is finished no issuer starts.
//! 4. Verifiers have seen what the database has forgotten: a restore begins a new epoch of the feed
//!    and has every access token refused that was issued before, so that clients refresh.
//! 5. Sessions that were ended after the backup must not come back, and nobody knows which those
//!    were: all of them end, unless the operator says that nothing has happened since.

mod back_up;
mod file;
mod programs;
mod progress;
mod restore;
mod store;

pub use back_up::{BackedUp, back_up};
pub use file::{BackupFile, Header};
pub use programs::Programs;
pub use restore::{Plan, Restored, restore};
pub use store::is_unfinished;
