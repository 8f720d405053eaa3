//! Corrections: what admins and operators add, take, and give back.
//!
//! 1. Each is an entry with a reason that the user can read, and a security event in the same
//!    transaction.
//! 2. A refund gives back at most what was charged, however many there are, into the lots it came
//!    from, those that were paid for first. What came from a lot that has lapsed meanwhile lasts as
//!    long again as it had left when it was charged.
//! 3. Nothing is taken that a hold reserves, and no account goes below zero.
//! 4. Only `tollgate_owner` may do this from the command line; over HTTP it takes an admin who
//!    signed in lately.

mod api;
mod correct;
mod model;
pub mod operator;
mod store;

pub use api::CorrectionsApi;
pub use model::{Correction, CorrectionError, TransactionId};
