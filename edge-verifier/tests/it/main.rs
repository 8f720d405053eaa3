//! The decision and the configuration from outside, as tables of what must happen.

mod assertion;
mod charging;
mod config;
mod decide;
mod limits;
mod names;
mod schema;
mod sockets;
mod support;
