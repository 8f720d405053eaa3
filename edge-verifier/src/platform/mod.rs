//! The runtime's side: what JavaScript calls, and time, network, cache and log in the form
//! the rest uses.

mod cache;
mod charging;
mod clock;
mod fetch;
pub mod gateway;
mod loading;
mod log;
