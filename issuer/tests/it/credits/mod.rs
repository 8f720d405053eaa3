//! The ledger over HTTP and in SQL. Every test ends with [`Ledger::finish`], which recomputes
//! all accounts from their entries and demands that nothing differs.

mod attacks;
mod balance;
mod history;
mod holds;
pub mod ledger;
mod purchases;
mod random;
mod reconcile;
mod refused_input;
mod signup_bonus;
mod statements;
mod storms;
mod tables;
mod use_credits;

pub use ledger::Ledger;
