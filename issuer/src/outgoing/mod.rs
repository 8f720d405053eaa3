//! Calls to addresses that users gave.
//!
//! 1. https only; in development http too, to this machine alone.
//! 2. An address is public, or nothing is sent to it: names are resolved here, every address is
//!    checked, and the connection goes to what was checked.
//! 3. No redirect is followed, no proxy is asked, nothing lasts longer than five seconds.
//! 4. Nothing that is answered but the status is kept.

mod address;
mod client;
mod url_rule;

pub use address::Reach;
pub use client::{OutgoingClient, SendError};
pub use url_rule::{origin_problem, webhook_url_problem};
