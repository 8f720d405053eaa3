//! Mail: what waits in the outbox is written and sent; links and codes are made and checked.
//!
//! 1. A mail is put into the outbox in the transaction of the act that causes it, and sent
//!    afterwards. No transaction is open while it is sent.
//! 2. It is sent at least once. Each try carries the same Message-ID, by which a mailbox knows a
//!    repetition. One that cannot be sent is given up after a bounded number of tries.
//! 3. Outbox and database hold no secret: a link carries an HMAC over the id of its token, and a
//!    code is derived from it. Without `MASTER_KEY` neither can be made.
//! 4. Text and HTML of a mail are made from one content and say the same.

mod api;
mod content;
mod links;
mod mailbox;
mod mailer;
mod message;
mod model;
mod purchase;
mod send_due;
mod store;
mod sweep;
mod words;

pub use api::{mailbox_list, mailbox_mail};
pub use links::{LinkPurpose, MailLinks};
pub use mailer::Mailer;
pub use model::Locale;
pub use send_due::send_due;
pub use sweep::sweep;
