//! What admins do with other people's accounts.
//!
//! 1. A role is checked in the token and, by the same statement that acts, in the database.
//! 2. Every change needs a sign-in within the last minutes; reading does not.
//! 3. Nobody can take away the last admin.
//! 4. An act ends sessions or cuts off tokens in its own transaction, so that the edge follows
//!    within seconds, and records itself with the admin as its actor.
//! 5. An admin in somebody's place holds a short access token that names them (`act`), no
//!    refresh token, and can do nothing that needs a credential of that person.

mod act;
mod api;
mod impersonate;
mod list_users;
mod load_user;
mod model;
pub mod operator;
mod store;

pub use api::{AdminApi, user_id};
pub use model::{Act, Refused, UserFilter, UserListing};
