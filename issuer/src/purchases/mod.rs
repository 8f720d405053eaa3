//! Purchases: credits for money, by Stripe.
//!
//! 1. A purchase is written down before Stripe hears of it. Its credits and its price are those of
//!    our own row; what Stripe reports names it and is compared with it.
//! 2. No transaction is open while Stripe is asked. The question can be repeated: its idempotency
//!    key is the purchase.
//! 3. A report is stored before it is answered and applied afterwards, all of it or nothing. One
//!    that cannot be applied never stands in the way of another.
//! 4. A payment adds credits once, whatever is reported how often about it and in which order.
//! 5. What is refunded or lost in a dispute is taken back; what is spent by then is owed, and no
//!    balance falls below zero.
//! 6. An account is frozen as long as any of its freezes is in force; a dispute that is won lifts
//!    its own and no other.
//! 7. The inbox holds ids and amounts, nothing about a person.

mod admin;
mod api;
mod apply_due;
mod check_out;
mod event;
mod model;
mod receive_event;
mod return_url;
mod signature;
mod store;
mod stripe;
mod sweep;

pub use admin::{
    AdminPurchasesApi, EventListing, PackageAct, PackageFields, PackageListing, PackagesApi,
    operator,
};
pub use api::PurchasesApi;
pub use apply_due::apply_due;
pub use stripe::StripeClient;
pub use sweep::sweep;
