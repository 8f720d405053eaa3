//! One's own account: profile, password, address, export, deletion.
//!
//! 1. Changing password or address and deleting the account need a sign-in within ten minutes.
//! 2. A password is changed only if the one that was checked is still in force; the other sessions
//!    end, this one stays.
//! 3. A new address counts from its own confirmation on; the old one is told.
//! 4. A deleted account is over at once. What is personal goes when the grace is over; the ledger
//!    and the digest of the signup bonus stay.

mod api;
mod change_email;
mod change_password;
mod delete_account;
mod erase_due;
mod export_data;
mod load_me;
mod store;
mod update_profile;

pub use api::OwnApi;
pub use change_email::confirm_email_change;
pub use erase_due::erase_due;
