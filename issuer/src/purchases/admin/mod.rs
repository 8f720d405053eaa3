//! What admins and operators do about packages, purchases and reports.

mod act;
mod api;
mod list;
mod model;
pub mod operator;
mod packages;
mod store;

pub use api::AdminPurchasesApi;
pub use model::{EventListing, PackageAct, PackageFields, PackageListing};
pub use packages::PackagesApi;
