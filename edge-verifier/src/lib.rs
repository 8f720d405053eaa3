//! The Worker that checks every request before it reaches a backend.
//!
//! Everything that decides is plain Rust over plain types and is tested natively; only
//! `bindings` and `platform` know that there are Workers.

pub mod answer;
pub mod assertions;
pub mod charging;
pub mod config;
pub mod copies;
pub mod cors;
pub mod decide;
pub mod forward;
pub mod headers;
mod hex;
pub mod limiter;
pub mod paths;
pub mod refusal;
pub mod request;
pub mod routes;
pub mod state;
pub mod status;
pub mod tokens;
pub mod trace;
pub mod urls;

#[cfg(feature = "worker")]
mod bindings;
#[cfg(feature = "worker")]
pub mod platform;

#[cfg(feature = "tool")]
pub mod tool;

#[cfg(test)]
mod testing;
