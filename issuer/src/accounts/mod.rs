//! People: registration, signing in, the signed-in user, users who come from elsewhere.
//!
//! 1. An e-mail address names at most one user that is not deleted; the database says so.
//! 2. A password is hashed by Argon2id in [`PasswordHasher`], never inside a transaction.
//! 3. A sign-in opens a session only if the hash that was checked is still the one in force.
//! 4. An unknown address costs the same work as a known one and gets the same answer.
//! 5. With verification on, nobody signs in before their address is proven, and registering an
//!    address tells a stranger nothing about it.
//! 6. Strangers who guess are slowed down; they cannot keep the owner out.
//! 7. A hash of another system is replaced at the first sign-in with its password.

mod api;
mod import;
mod login;
mod mailed;
mod model;
mod notice_foreign_hashes;
mod own;
mod pages;
mod password;
mod register;
mod store;

pub use api::{AccountsApi, LoginAnswer};
pub use import::{
    ImportError, ImportFile, ImportReport, LineProblem, Mapping, import_users, read_import,
};
pub use mailed::MailedApi;
pub use model::{Email, Password, User};
pub use notice_foreign_hashes::notice_foreign_hashes;
pub use own::{OwnApi, erase_due};
pub use pages::pages;
pub use password::{
    Client, HashError, Measurement, PasswordHasher, REFUSAL_TIME, Verdict,
    measure as measure_hashing, rate as hashing_rate,
};
