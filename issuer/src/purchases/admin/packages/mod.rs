//! Packages, for admins.

mod api;

pub use api::PackagesApi;
