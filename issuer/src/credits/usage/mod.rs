//! Usage: what apps have spent of a user's credits, by hour or day.
//!
//! 1. Sums by hour are kept up to a number of entries for each account; what came after is read
//!    from the entries themselves. Both are read in one statement, so the answer is exact at every
//!    moment, whether or not the sums are up to date.
//! 2. A refund counts in the hour in which it was made, so that the figures of an hour that is over
//!    never change.

mod api;
mod list_usage;
mod model;
mod roll_up_usage;
mod store;

pub use api::UsageApi;
pub use roll_up_usage::roll_up_usage;
