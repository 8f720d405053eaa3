//! Settings of users: one object for everywhere, and one for each app on top of it.
//!
//! 1. A user's settings are one row, written by one function: their size is bounded as a whole.
//! 2. A patch replaces members of the top level one by one; two devices that change different
//!    members never undo each other.
//! 3. Each change raises the version. Whoever names a version in `If-Match` changes nothing
//!    once another has been written.

mod api;
mod change_settings;
mod load_settings;
mod model;
mod store;

pub use api::SettingsApi;
