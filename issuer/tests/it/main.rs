//! Tests of the issuer over HTTP against a real PostgreSQL. The folders mirror `src`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests ask the machine where PostgreSQL is"
)]

mod accounts;
mod admin;
mod apps;
mod audit;
mod complaints;
mod credits;
mod db;
mod http;
mod mail;
mod purchases;
mod revocations;
mod second_factor;
mod sessions;
mod settings;
mod signing_keys;
mod support;
mod webhooks;
