//! Gifts: credits on their way from one account to another.
//!
//! 1. What is given lies in escrow: in nobody's lots, and never in two at once.
//! 2. Only what the giver bought more than seven days ago can be given, and what was given is not
//!    given on. The lots it becomes keep purchase and expiry, so that a claw-back finds them.
//! 3. A code is derived from the gift's id under `MASTER_KEY`; the database holds its hash. It is
//!    shown to whoever makes the gift, and to nobody afterwards.
//! 4. A gift to an address is redeemed by whoever has proven that address, once, as soon as they
//!    have. Making one answers the same whether or not somebody has the address.
//! 5. A gift that nobody takes goes back into the lots it came from.
//! 6. A code that is unknown, meant for somebody else, used or over has one answer.

mod announce;
mod api;
mod cancel_gift;
mod code;
mod create_gift;
mod list_gifts;
mod model;
mod redeem_gift;
mod store;

pub use announce::sweep_gifts;
pub use api::GiftsApi;
pub use code::GiftCodes;
pub use list_gifts::export_gifts;
pub use model::GiftMail;
pub use store::find_gift_mail;
