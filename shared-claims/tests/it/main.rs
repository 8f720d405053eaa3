//! Tests of what the crate does, through nothing but its public API.

mod assertion;
mod conformance;
mod differential;
mod feed_cache;
mod fetch;
mod forge;
mod key_cache;
mod random;
mod receipt;
mod revocations;
mod robustness;
mod sign;
mod verifier;
