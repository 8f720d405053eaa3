//! What a person does by mail: proving an address, choosing a password without the old one,
//! moving to another address.
//!
//! 1. Asking for a mail is answered the same whether or not somebody has the address: status,
//!    headers, body, and the work in the database.
//! 2. A link is used by POST only, once, for its purpose, and for a while. What is not ours never
//!    reaches the database.
//! 3. A code has five tries; each is counted before it is compared.
//! 4. A reset link is void once password or address changed, and using it ends every session.

mod api;
mod request_mail;
mod reset_password;
mod store;
mod verify_email;

pub use api::{Accepted, Done, MailedApi};
pub use request_mail::{AskingError, draw};
pub use reset_password::{ResetError, reset_password};
pub use store::{note_repeated_registration, refuse_unverified_login, request_first_mail};
pub use verify_email::{LinkError, verify_by_link};
