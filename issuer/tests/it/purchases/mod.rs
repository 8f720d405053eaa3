//! Buying credits, against a stand-in for Stripe inside the test. Every test ends with
//! [`Shop::finish`], which recomputes all accounts from their entries.

mod attacks;
mod checkout;
mod disputes;
mod gifts;
mod mail;
mod orders;
mod packages;
mod refunds;
mod shop;
#[path = "../../../../xtask/src/stripe_stand_in/stripe/mod.rs"]
mod stripe;
mod webhook;
