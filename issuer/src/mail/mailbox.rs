//! Where mail lands in development.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use time::OffsetDateTime;

/// A mail that was not sent anywhere.
#[derive(Debug)]
pub struct KeptMail {
    /// Its row in the outbox.
    pub id: i64,
    /// When the act happened.
    pub created_at: OffsetDateTime,
    /// To whom.
    pub recipient: String,
    /// What it is about.
    pub subject: &'static str,
    /// As text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

/// The last mails, newest first; the oldest are forgotten.
#[derive(Debug, Default)]
pub struct Mailbox {
    mails: Mutex<VecDeque<Arc<KeptMail>>>,
}

impl Mailbox {
    /// Keeps a mail.
    pub fn keep(&self, mail: KeptMail) {
        let mut mails = self.mails.lock().expect("no holder of this lock panics");
        mails.push_front(Arc::new(mail));
        mails.truncate(MAX_KEPT);
    }

    /// All of them, newest first.
    pub fn list(&self) -> Vec<Arc<KeptMail>> {
        let mails = self.mails.lock().expect("no holder of this lock panics");
        mails.iter().cloned().collect()
    }

    /// One of them.
    pub fn find(&self, id: i64) -> Option<Arc<KeptMail>> {
        self.list().into_iter().find(|mail| mail.id == id)
    }
}

/// More than anyone looks through; a few megabytes.
const MAX_KEPT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_mail_is_forgotten() {
        let mailbox = Mailbox::default();
        for id in 0..=200 {
            mailbox.keep(KeptMail {
                id,
                created_at: OffsetDateTime::UNIX_EPOCH,
                recipient: String::new(),
                subject: "",
                text: String::new(),
                html: String::new(),
            });
        }
        assert_eq!(mailbox.list().len(), MAX_KEPT);
        assert!(mailbox.find(0).is_none() && mailbox.find(200).is_some());
        assert_eq!(mailbox.list()[0].id, 200);
    }
}
