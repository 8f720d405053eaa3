//! The audit trail: chained, checkpointed, verified, read.
//!
//! 1. Every act writes its event in its own transaction (`auth.record_event`); nothing here does.
//! 2. One sealer at a time chains what has committed, each event once, in a gap-free sequence:
//!    `mac(n) = HMAC(key, mac(n − 1) ‖ n ‖ event)`, with a key that the database does not know.
//! 3. The chain covers a salted digest of the personal details, so that they can be erased
//!    while the event stays.
//! 4. A checkpoint says how far the chain had come. Kept elsewhere (log, file) it betrays that
//!    the end was cut off. Its signature is an HMAC under a key of its own: whoever verifies
//!    needs `MASTER_KEY` for the chain anyway, so a public key would prove nothing more.
//! 5. Verification recomputes everything in pages and names the first event that is wrong.

mod api;
mod chain;
mod checkpoint;
mod export;
mod list_events;
mod model;
mod seal;
mod search;
mod store;
mod verify;

pub use api::AuditApi;
pub use model::{Checkpoint, Verification};
pub use seal::seal;
pub use verify::{VerifyAuditError, verify};
