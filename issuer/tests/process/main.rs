//! The program as its operator runs it: real processes, real signals, a real server that dies.

#![expect(
    clippy::disallowed_methods,
    reason = "tests ask the machine where PostgreSQL is, and wait in real time for other processes"
)]

mod backup;
mod crash;
mod keys;
mod ledger;
mod operators;
mod purchases;
mod replica;
mod start;
mod stop;
#[path = "../../../xtask/src/stripe_stand_in/stripe/mod.rs"]
mod stripe;
mod support;
mod two_issuers;
