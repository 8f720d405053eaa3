//! A mail as it travels.

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use super::content::Written;
use super::model::DueMail;

/// Puts a written mail into its envelope; `None` when the recipient is no address a mail server
/// could take.
pub fn message(from: &Mailbox, name: &str, mail: &DueMail, written: Written) -> Option<Message> {
    let domain = from.email.domain();
    // RFC 3834 section 5: keeps vacation notices from answering.
    let automatic = HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".into(),
    );
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, mail.recipient.parse().ok()?))
        .subject(written.subject)
        .date(SystemTime::from(mail.created_at))
        .message_id(Some(format!("<{name}@{domain}>")))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(
            written.text,
            written.html,
        ))
        .ok()
}
