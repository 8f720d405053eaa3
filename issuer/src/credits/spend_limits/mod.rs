//! Spend limits: how much an app may take of a user's credits in a day or a month.
//!
//! 1. A limit binds where credits are spent or held, in the same call and under the same lock, so
//!    that no two requests slip under it together.
//! 2. The limit in force is the app's own, or the one an admin set in its place for this user;
//!    the user can lower it, never raise it.
//! 3. A hold counts when it is placed, in the day and month of that moment; what is released, or
//!    refunded in the same day or month, stops counting.
//! 4. What counts follows from the entries. Counters only save reading them again.

mod api;
mod list_spend_limits;
mod model;
mod set_spend_limits;
mod store;

pub use api::{SpendLimitsAdminApi, SpendLimitsApi};
pub use model::{LimitReached, Period};
