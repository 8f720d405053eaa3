//! Calls to addresses that users gave, and the TLS of every call.
//!
//! 1. https only; in development http too, to this machine alone.
//! 2. An address is public, or nothing is sent to it: names are resolved here, every address is
//!    checked, and the connection goes to what was checked.
//! 3. No redirect is followed, no proxy is asked, nothing lasts longer than five seconds.
//! 4. Nothing that is answered is kept but the status and when to come back.

mod address;
mod client;
mod retry_after;
mod tls;
mod url_rule;

pub use address::Reach;
pub use client::{Answer, OutgoingClient, SendError};
pub use retry_after::RetryAfter;
pub use tls::tls;
pub use url_rule::{origin_problem, webhook_url_problem};
