//! Sends a mail: to a server, into the mailbox of development, or nowhere.

use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::content::Written;
use super::mailbox::{KeptMail, Mailbox};
use super::message::message;
use super::model::DueMail;
use crate::config::{Config, Mode, Protection, SmtpConfig};

/// How mail leaves.
pub struct Mailer {
    from: lettre::message::Mailbox,
    service: String,
    way: Way,
}

enum Way {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Mailbox(Mailbox),
    Nowhere,
}

/// Why a mail was not sent. The code is three digits of the server or a word of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The server will never take it.
    Permanent(String),
    /// It may next time.
    Transient(String),
    /// This service sends no mail.
    Off,
}

impl Mailer {
    /// The way that the configuration names.
    pub fn new(config: &Config) -> Self {
        let way = match (&config.mail.smtp, config.mode) {
            (Some(smtp), _) => Way::Smtp(Box::new(transport(smtp))),
            (None, Mode::Development | Mode::Operator) => Way::Mailbox(Mailbox::default()),
            (None, Mode::Production) => Way::Nowhere,
        };
        let from = config.mail.from.clone();
        let service = from
            .name
            .clone()
            .unwrap_or_else(|| from.email.domain().into());
        Self { from, service, way }
    }

    /// Whether mail that is asked for will be sent.
    pub fn is_on(&self) -> bool {
        !matches!(self.way, Way::Nowhere)
    }

    /// Who mail is from, in words.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The mailbox of development, when mail lands there.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match &self.way {
            Way::Mailbox(mailbox) => Some(mailbox),
            Way::Smtp(_) | Way::Nowhere => None,
        }
    }

    /// Sends a written mail; `name` is the same for each try.
    pub(super) async fn send(
        &self,
        name: &str,
        mail: &DueMail,
        written: Written,
    ) -> Result<(), SendError> {
        match &self.way {
            Way::Nowhere => Err(SendError::Off),
            Way::Mailbox(mailbox) => {
                mailbox.keep(KeptMail {
                    id: mail.id,
                    created_at: mail.created_at,
                    recipient: mail.recipient.clone(),
                    subject: written.subject,
                    text: written.text,
                    html: written.html,
                });
                Ok(())
            }
            Way::Smtp(transport) => {
                let message = message(&self.from, name, mail, written)
                    .ok_or_else(|| SendError::Permanent("address".into()))?;
                match transport.send(message).await {
                    Ok(_accepted) => Ok(()),
                    Err(error) => Err(classify(&error)),
                }
            }
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

fn transport(config: &SmtpConfig) -> AsyncSmtpTransport<Tokio1Executor> {
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(config.url.expose())
        .expect("the configuration has been checked");
    if let Some(pem) = &config.ca_pem {
        let authority = Certificate::from_pem(pem).expect("the configuration has been checked");
        let parameters = TlsParameters::builder(config.host.clone())
            .add_root_certificate(authority)
            .build()
            .expect("certificates that could be read make parameters");
        builder = builder.tls(match config.protection {
            Protection::Tls => Tls::Wrapper(parameters),
            Protection::StartTls => Tls::Required(parameters),
            Protection::Loopback => Tls::None,
        });
    }
    builder
        .timeout(Some(SMTP_TIMEOUT))
        .pool_config(PoolConfig::new().max_size(MAX_CONNECTIONS))
        .build()
}

/// Never the text: it is somebody else's, and may repeat the address.
fn classify(error: &smtp::Error) -> SendError {
    let Some(status) = error.status() else {
        let word = match () {
            () if error.is_timeout() => "timeout",
            () if error.is_tls() => "tls",
            () => "connection",
        };
        return SendError::Transient(word.into());
    };
    let code = status.to_string();
    // Our own credentials were refused: an operator mends that, and no mail should be lost by it.
    let is_ours_to_mend = CREDENTIAL_CODES.contains(&code.as_str());
    match error.is_permanent() && !is_ours_to_mend {
        true => SendError::Permanent(code),
        false => SendError::Transient(code),
    }
}

/// Longer than a server that greylists takes to answer, shorter than the lease of a mail.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);
/// Mail servers limit connections of one client, often to ten.
pub(super) const MAX_CONNECTIONS: u32 = 8;
/// RFC 4954 section 6.
const CREDENTIAL_CODES: [&str; 4] = ["530", "534", "535", "538"];
