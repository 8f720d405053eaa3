//! The content of a mail, and its two forms.

use askama::Template as _;
use time::OffsetDateTime;

use super::links::{LinkPurpose, MailLinks};
use super::model::{DueMail, Locale, Template};
use super::purchase;
use super::words::{self, CommonWords};
use crate::credits::GiftMail;

/// A mail as it is shown to a person, in both forms.
pub struct Written {
    pub subject: &'static str,
    pub text: String,
    pub html: String,
}

/// What a mail is written with.
pub struct Writer<'a> {
    /// Makes links and codes.
    pub links: &'a MailLinks,
    /// Where links lead.
    pub base_url: &'a str,
    /// Who it is from, in words.
    pub service: &'a str,
    /// The gift that the mail is about.
    pub gift: Option<GiftMail>,
}

struct Content<'a> {
    language: &'static str,
    subject: &'static str,
    preview: &'static str,
    heading: &'static str,
    greeting: String,
    paragraphs: &'a [&'static str],
    action: Option<Action>,
    code: Option<Code>,
    facts: Vec<(&'static str, String)>,
    closing: &'a [&'static str],
    footer: &'static str,
}

struct Action {
    label: &'static str,
    url: String,
}

struct Code {
    label: &'static str,
    digits: String,
}

#[derive(askama::Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    content: &'a Content<'a>,
    service: &'a str,
}

#[derive(askama::Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    content: &'a Content<'a>,
    service: &'a str,
}

impl Writer<'_> {
    /// Writes a mail; `None` when it cannot be written, which is a defect.
    pub fn write(&self, template: Template, mail: &DueMail) -> Option<Written> {
        let locale = Locale::parse(&mail.locale);
        let (own, common) = (words::words(template, locale), words::common(locale));
        let content = Content {
            language: locale.as_str(),
            subject: own.subject,
            preview: own.paragraphs.first().copied().unwrap_or(own.heading),
            heading: own.heading,
            // Whoever reads about a waiting gift need not be the user whom the outbox names.
            greeting: match template {
                Template::GiftWaiting => greeting(&common, None),
                _ => greeting(&common, mail.name.as_deref()),
            },
            paragraphs: own.paragraphs,
            action: match own.action {
                Some(label) => Some(self.action(label, template, mail)?),
                None => None,
            },
            code: self.code(&common, template, mail),
            facts: match (template.is_about_gift(), &self.gift) {
                (false, _) => facts(&common, template, mail)?,
                (true, gift) => gift_facts(&common, gift.as_ref()?),
            },
            closing: own.closing,
            footer: common.footer,
        };
        let service = self.service;
        let html = Html {
            content: &content,
            service,
        }
        .render()
        .ok()?;
        let text = Text {
            content: &content,
            service,
        }
        .render()
        .ok()?;
        Some(Written {
            subject: own.subject,
            text,
            html,
        })
    }

    fn action(&self, label: &'static str, template: Template, mail: &DueMail) -> Option<Action> {
        let purpose = purpose(template)?;
        let secret = self.links.secret(purpose, mail.token_id.as_deref()?);
        let url = format!(
            "{}{}?token={}",
            self.base_url,
            purpose.page(),
            secret.expose()
        );
        Some(Action { label, url })
    }

    fn code(&self, common: &CommonWords, template: Template, mail: &DueMail) -> Option<Code> {
        let token_id = mail.token_id.as_deref()?;
        (template == Template::VerifyEmail).then(|| Code {
            label: common.code,
            digits: self.links.code(token_id).expose().to_owned(),
        })
    }
}

fn purpose(template: Template) -> Option<LinkPurpose> {
    match template {
        Template::VerifyEmail => Some(LinkPurpose::VerifyEmail),
        Template::ResetPassword => Some(LinkPurpose::ResetPassword),
        Template::ChangeEmail => Some(LinkPurpose::ChangeEmail),
        Template::AlreadyRegistered
        | Template::PasswordChanged
        | Template::EmailChanged
        | Template::NewDevice
        | Template::RefreshTokenReused
        | Template::TwoFactorChanged
        | Template::PasskeyAdded
        | Template::GiftWaiting
        | Template::GiftReceived
        | Template::PurchaseReceipt
        | Template::PurchaseRefunded
        | Template::DisputeOpened
        | Template::DisputeWon
        | Template::DisputeLost => None,
    }
}

fn greeting(common: &CommonWords, name: Option<&str>) -> String {
    // A name is one line here, whatever was typed: a text mail has no other frame.
    let name = name.map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
    match name.filter(|name| !name.is_empty() && !looks_like_link(name)) {
        Some(name) => format!("{} {name},", common.greeting),
        None => format!("{},", common.greeting),
    }
}

/// Whoever registers somebody else's address chooses the name in the mail that we send there.
/// Mail programs turn what looks like an address into a link, so such a name is left out.
fn looks_like_link(name: &str) -> bool {
    name.contains("://") || name.contains('@') || name.contains("www.") || name.contains('.')
}

/// `None` when what the mail is about is missing.
fn facts(
    common: &CommonWords,
    template: Template,
    mail: &DueMail,
) -> Option<Vec<(&'static str, String)>> {
    let device = mail.device_name.clone().or_else(|| mail.user_agent.clone());
    let known = |value: Option<String>| value.unwrap_or_else(|| common.unknown.to_owned());
    Some(match template {
        Template::NewDevice | Template::RefreshTokenReused => vec![
            (common.device, known(device)),
            (common.address, known(mail.ip_address.clone())),
            (common.time, minute(mail.happened_at)),
        ],
        Template::PasswordChanged | Template::EmailChanged | Template::PasskeyAdded => {
            vec![(common.time, minute(mail.created_at))]
        }
        Template::TwoFactorChanged => {
            let change = mail.change.as_deref().and_then(common.two_factor_change);
            vec![
                (common.change, known(change.map(str::to_owned))),
                (common.time, minute(mail.created_at)),
            ]
        }
        Template::ChangeEmail => vec![(common.new_email, known(mail.new_email.clone()))],
        Template::VerifyEmail
        | Template::AlreadyRegistered
        | Template::ResetPassword
        | Template::GiftWaiting
        | Template::GiftReceived => Vec::new(),
        Template::PurchaseReceipt
        | Template::PurchaseRefunded
        | Template::DisputeOpened
        | Template::DisputeWon
        | Template::DisputeLost => {
            let mut facts = purchase::facts(&common.purchase, mail.facts.as_ref()?)?;
            facts.push((common.time, minute(mail.created_at)));
            facts
        }
    })
}

fn gift_facts(common: &CommonWords, gift: &GiftMail) -> Vec<(&'static str, String)> {
    let one_line = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = gift.giver_name.as_ref().map(one_line);
    let name = name.filter(|name| !name.is_empty() && !looks_like_link(name));
    let message = gift.message.as_ref().map(one_line);
    let message = message.filter(|text| !text.is_empty() && !text.split(' ').any(is_link));
    let mut facts = vec![(common.credits, gift.amount.to_string())];
    facts.extend(name.map(|name| (common.giver, name)));
    facts.extend(message.map(|text| (common.message, text)));
    facts.push((common.until, minute(gift.expires_at)));
    facts
}

/// Mail programs turn such a word into a link. Nobody puts one into our mail: what is left out can
/// be read in the account.
fn is_link(word: &str) -> bool {
    let inner_dot = word.trim_end_matches(|c: char| !c.is_alphanumeric());
    word.contains("://") || word.contains('@') || word.contains('/') || inner_dot.contains('.')
}

fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

    fn due(template: Template, locale: &str, name: &str) -> DueMail {
        let at = time::macros::datetime!(2026-03-01 12:05 UTC);
        DueMail {
            id: 1,
            template: template.name().into(),
            attempt: 1,
            created_at: at,
            recipient: "ada@example.com".into(),
            name: Some(name.into()),
            locale: locale.into(),
            token_id: Some(ID.into()),
            new_email: Some("new@example.com".into()),
            device_name: Some("<b>Phone</b>".into()),
            user_agent: None,
            ip_address: Some("192.0.2.1".into()),
            happened_at: at,
            change: Some("recovery_code_used".into()),
            facts: Some(serde_json::json!({
                "purchaseId": "p1", "package": "<b>Small</b>", "credits": 500, "amountCents": 1_205, "currency": "EUR",
            })),
            wanted: true,
        }
    }

    fn gift() -> GiftMail {
        GiftMail {
            amount: 120,
            giver_name: Some("Bob".into()),
            message: Some("Happy birthday!".into()),
            expires_at: time::macros::datetime!(2026-06-01 12:00 UTC),
        }
    }

    fn write_gift(gift: GiftMail) -> Written {
        let key = MasterKey::from_bytes([1; 32]).derive(Purpose::MailLinks);
        let writer = Writer {
            links: &MailLinks::new(vec![key]),
            base_url: "https://id.example.com",
            service: "Example",
            gift: Some(gift),
        };
        let mail = due(Template::GiftWaiting, "en", "Somebody else");
        writer.write(Template::GiftWaiting, &mail).expect("written")
    }

    fn write(template: Template, locale: &str, name: &str) -> Written {
        let key = MasterKey::from_bytes([1; 32]).derive(Purpose::MailLinks);
        let links = MailLinks::new(vec![key]);
        let writer = Writer {
            links: &links,
            base_url: "https://id.example.com",
            service: "Example",
            gift: Some(gift()),
        };
        writer
            .write(template, &due(template, locale, name))
            .expect("written")
    }

    /// The words of an HTML mail without its markup.
    fn visible(html: &str) -> String {
        let body = html.split_once("max-height:0").expect("a preview").1;
        let body = body.split_once("</div>").expect("its end").1;
        let mut text = String::new();
        let mut rest = body;
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            text.push(' ');
            rest = after.split_once('>').expect("a whole element").1;
        }
        text.replace("&#38;", "&")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#39;", "'")
            .replace("&#34;", "\"")
    }

    #[test]
    fn text_and_html_say_the_same_in_both_languages() {
        for template in Template::ALL {
            for locale in ["en", "de"] {
                let written = write(template, locale, "Ada");
                let shown: String = visible(&written.html)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
                for line in written
                    .text
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty() && *line != "--")
                {
                    let is_url = line.starts_with("https://");
                    let said = if is_url {
                        written.html.contains(line)
                    } else {
                        shown.contains(line.trim_end_matches(':'))
                    };
                    assert!(
                        said,
                        "{locale} {template:?}: {line:?} is not in the HTML: {shown}"
                    );
                }
                assert!(!written.subject.is_empty() && written.text.contains(written.subject));
            }
        }
    }

    #[test]
    fn languages_differ_and_every_mail_has_its_own_subject() {
        let mut subjects = Vec::new();
        for template in Template::ALL {
            let (en, de) = (write(template, "en", "Ada"), write(template, "de", "Ada"));
            assert!(
                en.html.contains("<html lang=\"en\">") && de.html.contains("<html lang=\"de\">")
            );
            if template != Template::GiftWaiting {
                assert!(en.text.contains("Hello Ada,") && de.text.contains("Hallo Ada,"));
            }
            subjects.extend([en.subject, de.subject]);
        }
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), 2 * Template::ALL.len());
    }

    #[test]
    fn what_a_person_typed_is_never_markup() {
        let written = write(
            Template::NewDevice,
            "en",
            "<script>alert(1)</script>\r\nBcc: x",
        );
        assert!(!written.html.contains("<script>") && !written.html.contains("<b>"));
        assert!(
            written.html.contains("&#60;script&#62;"),
            "{}",
            written.html
        );
        assert!(
            written
                .text
                .contains("Hello <script>alert(1)</script> Bcc: x,")
        );
    }

    #[test]
    fn a_name_cannot_put_a_link_of_its_own_into_our_mail() {
        for name in ["win.example/prize", "https://evil", "a@evil", "www.evil"] {
            let written = write(Template::VerifyEmail, "en", name);
            assert!(
                !written.text.contains(name) && !written.html.contains(name),
                "{name}"
            );
            assert!(written.text.contains("Hello,"));
        }
    }

    #[test]
    fn the_link_stands_once_in_the_html_and_the_code_only_where_it_is_read() {
        let written = write(Template::VerifyEmail, "en", "Ada");
        assert_eq!(
            written.html.matches("/account/verify-email?token=").count(),
            1
        );
        let key = MasterKey::from_bytes([1; 32]).derive(Purpose::MailLinks);
        let code = MailLinks::new(vec![key]).code(ID);
        assert!(written.html.contains(&format!(">{}</p>", code.expose())));
        assert_eq!(written.html.matches(code.expose()).count(), 1);
        for template in [Template::ResetPassword, Template::ChangeEmail] {
            assert!(!write(template, "en", "Ada").text.contains(code.expose()));
        }
    }

    #[test]
    fn money_is_written_as_the_language_writes_it() {
        let receipt = |locale| write(Template::PurchaseReceipt, locale, "Ada").text;
        assert!(receipt("en").contains("Amount: 12.05 EUR"));
        assert!(receipt("de").contains("Betrag: 12,05 EUR"));
    }

    #[test]
    fn a_mail_whose_link_is_missing_is_not_written() {
        let key = MasterKey::from_bytes([1; 32]).derive(Purpose::MailLinks);
        let links = MailLinks::new(vec![key]);
        let writer = Writer {
            links: &links,
            base_url: "https://id.example.com",
            service: "Example",
            gift: Some(gift()),
        };
        let mail = DueMail {
            token_id: None,
            ..due(Template::ResetPassword, "en", "Ada")
        };
        assert!(writer.write(Template::ResetPassword, &mail).is_none());
        let mail = DueMail {
            facts: None,
            ..due(Template::PurchaseReceipt, "en", "Ada")
        };
        assert!(writer.write(Template::PurchaseReceipt, &mail).is_none());
    }

    #[test]
    fn a_mail_about_a_gift_says_who_how_much_and_until_when() {
        let written = write_gift(gift());
        for line in [
            "Credits: 120",
            "From: Bob",
            "Message: Happy birthday!",
            "Until: 2026-06-01 12:00 UTC",
        ] {
            assert!(written.text.contains(line), "{}", written.text);
        }
        // The outbox names the giver when the receiver is not a user.
        assert!(written.text.contains("Hello,") && !written.text.contains("Somebody else"));
    }

    #[test]
    fn a_giver_cannot_put_a_link_of_their_own_into_our_mail() {
        for text in [
            "see win.example/prize",
            "https://evil.example",
            "write to me@evil.example",
            "www.evil.example now",
            "evil.example!",
        ] {
            let written = write_gift(GiftMail {
                message: Some(text.into()),
                giver_name: Some("evil.example".into()),
                ..gift()
            });
            assert!(
                !written.text.contains("evil") && !written.text.contains("prize"),
                "{text}"
            );
            assert!(!written.html.contains("evil"), "{text}");
        }
        let harmless = "Well done. It was 3 years, and ... more!";
        let written = write_gift(GiftMail {
            message: Some(harmless.into()),
            ..gift()
        });
        assert!(written.text.contains(harmless));
    }

    #[test]
    fn what_a_giver_typed_is_one_line_and_never_markup() {
        let written = write_gift(GiftMail {
            message: Some("<b>hello</b>\r\nUntil: never".into()),
            ..gift()
        });
        assert!(!written.html.contains("<b>"));
        assert!(!written.text.contains("\nUntil: never"));
    }

    #[test]
    fn a_mail_whose_gift_is_missing_is_not_written() {
        let key = MasterKey::from_bytes([1; 32]).derive(Purpose::MailLinks);
        let writer = Writer {
            links: &MailLinks::new(vec![key]),
            base_url: "https://id.example.com",
            service: "Example",
            gift: None,
        };
        let mail = due(Template::GiftReceived, "en", "Ada");
        assert!(writer.write(Template::GiftReceived, &mail).is_none());
    }
}
