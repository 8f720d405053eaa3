//! The decision and the configuration from outside, as tables of what must happen.

mod charging;
mod config;
mod decide;
mod schema;
mod support;
