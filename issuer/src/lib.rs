//! The issuer: signs people in and keeps their credits.
//!
//! Direction: `http` → features → `db`; inside a feature `api` → operation → `model`, `store`.
//! Only `api.rs` files and `http/` name poem; only `store.rs` files hold SQL. Clock, randomness
//! and configuration come from [`app::App`].

pub mod accounts;
pub mod admin;
pub mod app;
pub mod apps;
pub mod audit;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credits;
pub mod db;
pub mod http;
pub mod ids;
pub mod jobs;
pub mod mail;
pub mod metrics;
pub mod outgoing;
pub mod purchases;
pub mod revocations;
pub mod seal;
pub mod second_factor;
pub mod secret;
pub mod sessions;
pub mod settings;
pub mod signing_keys;
pub mod telemetry;
pub mod webhooks;

/// A request makes and drops many small things: with the system's allocator that is a tenth of what
/// a small answer costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
