//! Mail.

use std::path::PathBuf;
use std::str::FromStr;

use lettre::message::Mailbox;
use lettre::transport::smtp::client::Certificate;
use url::{Host, Url};

use super::{Mode, Source};
use crate::secret::SecretText;

/// Where mail goes and whether addresses have to be proven.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `SMTP_URL` and `SMTP_CA_FILE`; none sends no mail, or keeps it in memory with `--dev`.
    pub smtp: Option<SmtpConfig>,
    /// `MAIL_FROM`.
    pub from: Mailbox,
    /// `EMAIL_VERIFICATION`.
    pub verification: bool,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// With the password in it.
    pub url: SecretText,
    /// The host, whose certificate is checked.
    pub host: String,
    /// How the connection is protected.
    pub protection: Protection,
    /// `SMTP_CA_FILE`: further authorities, in PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// How a connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `smtps://`: TLS from the first byte.
    Tls,
    /// `smtp://…?tls=required`: STARTTLS, and nothing is sent without it.
    StartTls,
    /// `smtp://` to a loopback address: the line does not leave the machine.
    Loopback,
}

impl MailConfig {
    pub(super) fn read(source: &mut Source<'_>, mode: Mode) -> Self {
        let smtp = read_smtp(source);
        let from = read_from(source, smtp.is_some());
        let verification = source.parsed(
            "EMAIL_VERIFICATION",
            Switch(smtp.is_some()),
            "must be `on` or `off`",
        );
        if verification.0 && smtp.is_none() && mode == Mode::Production {
            source.problem(
                "EMAIL_VERIFICATION",
                "is `on` and there is no SMTP_URL to send the mail with",
            );
        }
        Self {
            smtp,
            from,
            verification: verification.0,
        }
    }
}

fn read_smtp(source: &mut Source<'_>) -> Option<SmtpConfig> {
    let ca_pem = read_authorities(source);
    let text = source.secret("SMTP_URL")?;
    let Some((host, protection)) = parse(text.expose()) else {
        source.problem(
            "SMTP_URL",
            "must be smtps://user:password@host, smtp://user:password@host?tls=required, \
             or smtp:// with a loopback host",
        );
        return None;
    };
    Some(SmtpConfig {
        url: text,
        host,
        protection,
        ca_pem,
    })
}

/// Opportunistic encryption is refused: whoever sits on the line would just not offer it.
fn parse(text: &str) -> Option<(String, Protection)> {
    let url = Url::parse(text).ok()?;
    let tls: Vec<_> = url.query_pairs().collect();
    let is_required = match tls.as_slice() {
        [] => false,
        [(name, value)] if name == "tls" && value == "required" => true,
        _ => return None,
    };
    let protection = match (url.scheme(), is_required) {
        ("smtps", _) => Protection::Tls,
        ("smtp", true) => Protection::StartTls,
        ("smtp", false) if is_loopback(&url) => Protection::Loopback,
        _ => return None,
    };
    // A user without a password would be left out silently by the transport.
    let is_whole = url.username().is_empty() == url.password().is_none();
    is_whole.then_some((url.host_str()?.to_owned(), protection))
}

/// `smtp:` is not one of the schemes whose hosts the `url` crate reads as addresses.
fn is_loopback(url: &Url) -> bool {
    match url.host_str().map(Host::parse) {
        Some(Ok(Host::Ipv4(ip))) => ip.is_loopback(),
        Some(Ok(Host::Domain(name))) => name == "localhost",
        // The transport cannot resolve an address in brackets.
        Some(Ok(Host::Ipv6(_)) | Err(_)) | None => false,
    }
}

fn read_authorities(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let path = PathBuf::from(source.text("SMTP_CA_FILE")?);
    match std::fs::read(&path) {
        Ok(pem) if Certificate::from_pem(&pem).is_ok() => Some(pem),
        Ok(_) => {
            source.problem("SMTP_CA_FILE", "must hold certificates in PEM");
            None
        }
        Err(_) => {
            source.problem("SMTP_CA_FILE", "cannot be read");
            None
        }
    }
}

fn read_from(source: &mut Source<'_>, is_needed: bool) -> Mailbox {
    const EXPECTED: &str = "must be an address such as `Example <no-reply@example.com>`";
    let default = Mailbox::from_str("Tollgate <no-reply@localhost>").expect("a mailbox");
    if is_needed && source.text("MAIL_FROM").is_none() {
        source.problem(
            "MAIL_FROM",
            "is required with SMTP_URL: whom mail is from, such as `Example <no-reply@example.com>`",
        );
    }
    source.parsed("MAIL_FROM", default, EXPECTED)
}

struct Switch(bool);

impl FromStr for Switch {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_encrypted_or_stays_on_the_machine() {
        let protection = |text: &str| parse(text).map(|(_, protection)| protection);
        for (text, expected) in [
            ("smtps://u:p@mail.example.com", Protection::Tls),
            ("smtps://mail.example.com:465", Protection::Tls),
            (
                "smtp://u:p@mail.example.com:587?tls=required",
                Protection::StartTls,
            ),
            ("smtp://127.0.0.1:1025", Protection::Loopback),
            ("smtp://localhost", Protection::Loopback),
        ] {
            assert_eq!(protection(text), Some(expected), "{text}");
        }
        for text in [
            "smtp://mail.example.com",
            "smtp://u:p@mail.example.com?tls=opportunistic",
            "smtp://mail.example.com?tls=none",
            "smtp://10.0.0.1:25",
            "smtp://[::1]:1025",
            "smtp://localhost.example.com",
            "smtp://u@mail.example.com?tls=required",
            "http://mail.example.com",
            "mail.example.com",
            "",
        ] {
            assert_eq!(protection(text), None, "{text}");
        }
    }
}
