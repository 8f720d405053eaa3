//! The program as its operator runs it: real processes, real signals, a real server that dies.

#![expect(
    clippy::disallowed_methods,
    reason = "tests ask the machine where PostgreSQL is, and wait in real time for other processes"
)]

mod crash;
mod keys;
mod ledger;
mod operators;
mod start;
mod stop;
mod support;
mod two_issuers;
