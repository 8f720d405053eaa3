//! Links and codes: made when a mail is written, checked when they come back, stored nowhere.

use crate::secret::{DerivedKey, SecretText, base64url};
use base64ct::{Base64UrlUnpadded, Encoding};

/// What a link is for. A link for one purpose is no good for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Proves the address of a registration.
    VerifyEmail,
    /// Sets a password.
    ResetPassword,
    /// Proves a new address.
    ChangeEmail,
}

impl LinkPurpose {
    /// As the database names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }

    /// The page that the link leads to.
    pub fn page(self) -> &'static str {
        match self {
            Self::VerifyEmail => "/account/verify-email",
            Self::ResetPassword => "/account/reset-password",
            Self::ChangeEmail => "/account/confirm-email",
        }
    }
}

/// Makes and checks links and codes, under the master key and the one before.
#[derive(Debug)]
pub struct MailLinks {
    keys: Vec<DerivedKey>,
}

impl MailLinks {
    /// The first key makes, all of them check.
    pub fn new(keys: Vec<DerivedKey>) -> Self {
        Self { keys }
    }

    /// What a link carries: the token's id and an HMAC over purpose and id.
    pub fn secret(&self, purpose: LinkPurpose, token_id: &str) -> SecretText {
        let tag = self.newest().mac(&parts(LINK, purpose, token_id));
        SecretText::new(format!("{token_id}{}", base64url(&tag)))
    }

    /// The id in what a link carried; `None` for anything that we did not make.
    pub fn read(&self, purpose: LinkPurpose, secret: &str) -> Option<String> {
        let (token_id, tag) = secret.split_at_checked(TOKEN_ID_LENGTH)?;
        let mut bytes = [0; 32];
        let tag = Base64UrlUnpadded::decode(tag, &mut bytes).ok()?;
        let is_ours = self
            .keys
            .iter()
            .any(|key| key.verify(&parts(LINK, purpose, token_id), tag));
        (tag.len() == 32 && is_ours).then(|| token_id.to_owned())
    }

    /// The six digits in a mail.
    pub fn code(&self, token_id: &str) -> SecretText {
        SecretText::new(code_under(self.newest(), token_id))
    }

    /// Whether these are the digits in that mail, compared in constant time.
    pub fn is_code(&self, token_id: &str, digits: &str) -> bool {
        self.keys.iter().any(|key| {
            let expected = code_under(key, token_id);
            subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), digits.as_bytes()).into()
        })
    }

    /// A name that is the same for each try to send one mail and says nothing else.
    pub fn message_name(&self, outbox_id: i64) -> String {
        let tag = self
            .newest()
            .mac(&[b"message-id\n", &outbox_id.to_be_bytes()]);
        base64url(&tag[..16])
    }

    fn newest(&self) -> &DerivedKey {
        self.keys.first().expect("there is always a current key")
    }
}

fn parts<'a>(kind: &'static [u8], purpose: LinkPurpose, token_id: &'a str) -> [&'a [u8]; 4] {
    [
        kind,
        purpose.as_str().as_bytes(),
        b"\n",
        token_id.as_bytes(),
    ]
}

fn code_under(key: &DerivedKey, token_id: &str) -> String {
    let tag = key.mac(&parts(CODE, LinkPurpose::VerifyEmail, token_id));
    // 2^64 is so much larger than 10^6 that no code is noticeably likelier than another.
    let number = tag
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let number = number % 1_000_000;
    format!("{number:06}")
}

const LINK: &[u8] = b"link\n";
const CODE: &[u8] = b"code\n";
/// 128 bits in base64url.
const TOKEN_ID_LENGTH: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    const ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

    fn links(keys: &[u8]) -> MailLinks {
        let derive = |byte: &u8| MasterKey::from_bytes([*byte; 32]).derive(Purpose::MailLinks);
        MailLinks::new(keys.iter().map(derive).collect())
    }

    #[test]
    fn a_link_is_read_back_for_its_purpose_only() {
        let links = links(&[1]);
        let secret = links.secret(LinkPurpose::VerifyEmail, ID);
        assert_eq!(
            links.read(LinkPurpose::VerifyEmail, secret.expose()),
            Some(ID.to_owned())
        );
        for other in [LinkPurpose::ResetPassword, LinkPurpose::ChangeEmail] {
            assert_eq!(links.read(other, secret.expose()), None);
        }
    }

    #[test]
    fn what_we_did_not_make_is_not_read() {
        let ours = links(&[1]);
        let secret = ours.secret(LinkPurpose::ResetPassword, ID);
        let secret = secret.expose();
        let other_id = format!("B{}", &secret[1..]);
        let shortened = &secret[..secret.len() - 1];
        let padded = format!("{secret}=");
        for forged in [ID, "", "é", &other_id, shortened, &padded, &"é".repeat(40)] {
            assert_eq!(
                ours.read(LinkPurpose::ResetPassword, forged),
                None,
                "{forged}"
            );
        }
        assert_eq!(links(&[2]).read(LinkPurpose::ResetPassword, secret), None);
    }

    #[test]
    fn links_and_codes_survive_a_change_of_the_master_key() {
        let (before, after) = (links(&[1]), links(&[2, 1]));
        let secret = before.secret(LinkPurpose::ChangeEmail, ID);
        assert!(
            after
                .read(LinkPurpose::ChangeEmail, secret.expose())
                .is_some()
        );
        assert!(after.is_code(ID, before.code(ID).expose()));
    }

    #[test]
    fn a_code_has_six_digits_and_belongs_to_one_mail() {
        let links = links(&[1]);
        let code = links.code(ID);
        assert_eq!(code.expose().len(), 6);
        assert!(code.expose().bytes().all(|b| b.is_ascii_digit()));
        assert!(links.is_code(ID, code.expose()));
        let other = "BAAAAAAAAAAAAAAAAAAAAA";
        assert!(!links.is_code(other, code.expose()));
        assert!(!links.is_code(ID, "") && !links.is_code(ID, "0000000"));
    }
}
