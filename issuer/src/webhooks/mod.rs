//! Webhooks: apps are told what happened, in the form of Standard Webhooks.
//!
//! 1. An event is written in the transaction of the act, by a trigger, and sent afterwards. No
//!    transaction is open while it is sent.
//! 2. Each delivery is leased to one issuer at a time. It arrives at least once, always with the
//!    same `webhook-id`, by which a receiver knows a repetition.
//! 3. A receiver that hangs or is away keeps a bounded number of attempts busy and a bounded number
//!    of deliveries waiting, all of them its own.
//! 4. A body holds ids and amounts. Of what a receiver answers, the status alone is kept.

mod act;
mod api;
mod list;
mod model;
pub mod operator;
mod send_due;
mod signature;
mod store;
mod sweep;

pub use api::WebhooksApi;
pub use model::{Acted, DeliveryListing, DeliveryState, EventType, Filter, WebhookAct};
pub use send_due::send_due;
pub use sweep::sweep;
