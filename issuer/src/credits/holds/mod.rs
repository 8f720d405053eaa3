//! Holds: credits reserved for a request that is under way.
//!
//! 1. A hold takes its credits from concrete lots when it is placed, so that a capture cannot
//!    fail for want of credits, even if such a lot lapses meanwhile.
//! 2. It is captured, in parts if need be, released, or ends by itself; then it ends for good.
//! 3. Capture and release need an idempotency key; a repeated one gives the hold as it was then.
//! 4. A frozen account places no hold; what was promised before can still be captured.

mod api;
mod capture_hold;
mod holder;
mod model;
mod place_hold;
mod release_hold;
mod store;

pub use api::HoldsApi;
