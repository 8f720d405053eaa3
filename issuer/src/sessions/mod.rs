//! Sessions: one sign-in on one device, its refresh token and its access tokens.
//!
//! 1. A session is one row for ever; a refresh changes it in place.
//! 2. A refresh token authenticates itself: what is not ours is refused without the database,
//!    and a stolen database holds nothing that could be presented.
//! 3. The whole rule for a presented token is one call of `auth.refresh_session`.
//! 4. Whatever ends a session writes its revocation entry in the same transaction.

pub mod access_token;
mod api;
mod device_name;
mod end_many;
mod list;
mod model;
mod open;
mod refresh;
mod refresh_token;
mod revoke;
mod store;
mod sweep;
mod validate;

pub use api::{SessionsApi, TokensView};
pub use end_many::{EndedMany, SessionFilter, count_many, end_every_quietly, end_many};
pub use model::{Session, TokenSubject, Tokens};
pub use open::{NewSession, OpenSessionError, open};
pub use refresh_token::RefreshTokens;
pub use sweep::sweep;
