//! Addresses, passwords and users, without any input or output.

use std::fmt;

use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::password::is_common;

/// An e-mail address, trimmed and lower-cased.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address; `None` when it is not one. The rule is the one browsers use for
    /// `<input type=email>` with a dot in the domain demanded, not all of RFC 5322.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@')?;
        let fits = text.len() <= MAX_EMAIL_BYTES && (1..=MAX_LOCAL_BYTES).contains(&local.len());
        (fits && local.bytes().all(is_local_byte) && is_domain(domain)).then_some(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address under which a signup bonus is given once: without plus-suffix, and without
    /// dots where the provider ignores them.
    pub fn canonical(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let local = local.split('+').next().unwrap_or(local);
        let domain = if domain == "googlemail.com" {
            "gmail.com"
        } else {
            domain
        };
        match domain {
            "gmail.com" => format!("{}@{domain}", local.replace('.', "")),
            _ => format!("{local}@{domain}"),
        }
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

fn is_local_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b)
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

/// A password as a person typed it, in the one form that is hashed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Normalises to NFKC, so that one password typed on two keyboards is one; `None` outside
    /// 8–128 Unicode scalars.
    pub fn parse(text: &str) -> Option<Self> {
        let normal = Zeroizing::new(text.nfkc().take(MAX_PASSWORD_CHARS + 1).collect::<String>());
        PASSWORD_CHARS
            .contains(&normal.chars().count())
            .then_some(Self(normal))
    }

    /// Reads a password that somebody wants to have from now on.
    ///
    /// # Errors
    /// [`PasswordFault`].
    pub fn choose(text: &str) -> Result<Self, PasswordFault> {
        let password = Self::parse(text).ok_or(PasswordFault::Length)?;
        match is_common(&password.0) {
            true => Err(PasswordFault::Common),
            false => Ok(password),
        }
    }

    /// The bytes to hash.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Why a password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordFault {
    /// Not 8 to 128 characters.
    Length,
    /// Among those that everybody tries first.
    Common,
}

impl PasswordFault {
    /// What would be right.
    pub fn expectation(self) -> &'static str {
        match self {
            Self::Length => "must be a string of 8 to 128 characters",
            Self::Common => "must not be one of the most common passwords",
        }
    }
}

/// A user as the API shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Opaque id.
    pub id: String,
    /// What one signs in with.
    pub email: String,
    /// What one is called.
    pub name: Option<String>,
    /// `user` or `admin`.
    pub role: String,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// When the account was made.
    pub created_at: OffsetDateTime,
}

/// RFC 5321 section 4.5.3.1.3 allows a path of 256 octets, brackets included.
const MAX_EMAIL_BYTES: usize = 254;
/// RFC 5321 section 4.5.3.1.1.
const MAX_LOCAL_BYTES: usize = 64;
/// Longer than any passphrase; bounds the work of hashing.
const MAX_PASSWORD_CHARS: usize = 128;
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=MAX_PASSWORD_CHARS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_trimmed_and_lower_cased() {
        let email = Email::parse("  Ada.Lovelace@Example.COM ").expect("an address");
        assert_eq!(email.as_str(), "ada.lovelace@example.com");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let huge = format!("a@{}.com", "b.".repeat(130));
        let cases = [
            "",
            "@",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.de",
            "a@b..de",
            "a@-b.de",
            "a@b.de.",
            "a@b_c.de",
            "ä@b.de",
            "a@b.de\0",
            "\"a\"@b.de",
            &long,
            &huge,
        ];
        for text in cases {
            assert!(Email::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn one_mailbox_has_one_canonical_address() {
        let canonical = |text| Email::parse(text).expect("an address").canonical();
        assert_eq!(
            canonical("a.b+shop@gmail.com"),
            canonical("AB@googlemail.com")
        );
        assert_eq!(canonical("a+1@example.com"), "a@example.com");
        assert_ne!(canonical("a.b@example.com"), canonical("ab@example.com"));
    }

    #[test]
    fn passwords_of_8_to_128_characters_are_accepted() {
        for (length, accepted) in [(7, false), (8, true), (128, true), (129, false)] {
            assert_eq!(
                Password::parse(&"x".repeat(length)).is_some(),
                accepted,
                "{length}"
            );
            assert_eq!(
                Password::parse(&"ß".repeat(length)).is_some(),
                accepted,
                "{length} scalars of two bytes"
            );
        }
    }

    #[test]
    fn one_password_in_two_encodings_is_one() {
        let composed = Password::parse("p\u{e4}ssw\u{f6}rter").expect("long enough");
        let decomposed = Password::parse("pa\u{308}sswo\u{308}rter").expect("long enough");
        assert_eq!(composed.expose(), decomposed.expose());
        assert_eq!(format!("{composed:?}"), "Password");
    }
}
