//! Keys that sign access tokens and the revocation feed.
//!
//! 1. Keys are made here, never configured; the private part is stored sealed under a key
//!    derived from `MASTER_KEY`.
//! 2. The seal covers kid, purpose, state and public key: a row that somebody else wrote is
//!    neither used nor published.
//! 3. One standby key per purpose is always published. It may be promoted once verifiers have
//!    had `KEY_PUBLISH_AHEAD` to learn of it; only the very first key, and the successor of a
//!    revoked one, sign at once.
//! 4. A retiring key stays published until the last token it signed has expired everywhere.
//! 5. No key is made because another could not be read.
//! 6. Everything that changes keys runs under one advisory lock, so that it happens once
//!    however many issuers run.

mod api;
mod key_ring;
mod list;
mod maintain;
mod master_keys;
mod model;
mod reload;
mod revoke;
mod rotate;
mod seal;
mod start_over;
mod store;

pub use api::JwksApi;
pub use key_ring::{KeyRing, KeyStage, PublishedKeys, Signer};
pub use list::{KeyListing, list};
pub use maintain::maintain;
pub use master_keys::{MasterKeyError, MasterKeys, check_master_key};
pub use model::{KeyState, Purpose, ROTATE_AFTER, SigningKeysError};
pub use reload::reload;
pub use revoke::revoke;
pub use rotate::{RotateError, rotate};
pub use start_over::{StartOverError, StartedOver, start_over};
