//! Signed receipts of charges, for apps that want to check offline what their users tell them.
//!
//! 1. Only what was posted has a receipt, and only its user can fetch it.
//! 2. A receipt names the app the credits were spent in; for another it is worth nothing.
//! 3. It is signed when it is asked for, with the key that signs access tokens at that moment.

mod api;
mod issue_receipt;

pub use api::ReceiptsApi;
