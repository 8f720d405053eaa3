//! The decision and the configuration from outside, as tables of what must happen.

mod config;
mod decide;
mod support;
