//! Apps that users spend credits in, and the credentials of their services.
//!
//! 1. A service's secret has 256 bits, is shown once and stored as its SHA-256.
//! 2. A webhook secret is shown once and stored sealed: it must be known to sign with. The one before
//!    signs beside it for a day.
//! 3. Only admins and operators change anything here, and each change is an event.
//! 4. A revoked or expired credential, and one of a disabled app, is unknown from that moment.

mod act;
mod api;
mod authenticate;
mod list;
mod model;
pub mod operator;
mod reseal;
mod seal;
mod store;

pub use api::AppsApi;
pub use authenticate::authenticate;
pub use model::{
    AppAct, AppFields, AppListing, NewCredential, SECRET_PREFIX, Scope, Service, ServiceListing,
    is_app_id,
};
pub use reseal::reseal;
pub use seal::{SigningSecret, open as open_webhook_secret};
