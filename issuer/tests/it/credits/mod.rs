//! The ledger over HTTP and in SQL. Every test ends with [`Ledger::finish`], which recomputes
//! all accounts from their entries and demands that nothing differs.

mod attacks;
mod balance;
mod batches;
mod corrections;
pub mod gifts;
mod history;
mod holds;
pub mod ledger;
mod mixed;
mod purchases;
mod random;
mod receipts;
mod reconcile;
mod refused_input;
mod rules;
mod services;
mod signup_bonus;
mod sleeping;
mod spend_limits;
mod statements;
mod storms;
mod tables;
mod usage;
mod use_credits;

pub use ledger::Ledger;
