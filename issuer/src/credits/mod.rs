//! Credits: what a user holds, and how that came about.
//!
//! 1. Every change of an account is one entry in an append-only ledger; both legs are in its
//!    row and sum to zero. The database refuses anything else, also from this program.
//! 2. One row per account is the lock: an operation is one call of one SQL function, which
//!    takes the lock first and the time after it.
//! 3. No lot goes below zero, and what a hold reserves nobody else can spend.
//! 4. An idempotency key gives the same answer for ever, a refusal for want of credits
//!    included; with another request it is an error. Clients and the system choose keys in
//!    name spaces of their own.
//! 5. What time brings (daily credits, lapsed lots, holds and gifts) is written down when the
//!    account is next used or looked at, so that the balance is exactly what could be spent.
//! 6. A hold belongs to the principal that placed it; for any other it does not exist.
//! 7. A service spends only in its own app, and only for a user whose token it shows.
//! 8. Amounts are whole numbers, from 1 to 10^12 in a request; there are no floats.
//!
//! Gifts, spend limits, corrections, usage and holds stand in folders of their own, with invariants
//! of their own.

mod api;
mod batcher;
mod canonical_json;
mod corrections;
mod fingerprint;
mod gifts;
mod grant_signup_bonus;
mod holds;
mod list_packages;
mod list_purchases;
mod list_transactions;
mod load_balance;
mod metadata;
mod model;
mod open_account;
mod payer;
mod read_copy;
mod receipts;
mod reconcile;
mod settle_sleeping;
mod spend_limits;
mod store;
mod usage;
mod use_credits;

pub use api::{Answered, CreditsApi, no_account, replayed};
pub use batcher::Batcher;
pub use corrections::{
    Correction, CorrectionError, CorrectionsApi, TransactionId, operator as corrections_operator,
};
pub use fingerprint::Fingerprint;
pub use gifts::{GiftCodes, GiftMail, GiftsApi, export_gifts, find_gift_mail, sweep_gifts};
pub use grant_signup_bonus::grant_signup_bonus;
pub use holds::HoldsApi;
pub use open_account::open_account;
pub use receipts::ReceiptsApi;
pub use reconcile::{Incident, reconcile};
pub use settle_sleeping::settle_sleeping;
pub use spend_limits::{SpendLimitsAdminApi, SpendLimitsApi};
pub use usage::{UsageApi, roll_up_usage};
