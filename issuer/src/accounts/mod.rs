//! People: registration, signing in, the signed-in user.
//!
//! 1. An e-mail address names at most one user that is not deleted; the database says so.
//! 2. A password is hashed by Argon2id in [`PasswordHasher`], never inside a transaction.
//! 3. A sign-in opens a session only if the hash that was checked is still the one in force.
//! 4. An unknown address costs the same work as a known one and gets the same answer.

mod api;
mod known_clients;
mod load_me;
mod login;
mod model;
mod password;
mod register;
mod store;

pub use api::AccountsApi;
pub use known_clients::KnownClients;
pub use model::{Email, Password, User};
pub use password::{Client, HashError, PasswordHasher};
