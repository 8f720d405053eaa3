//! The form of a refresh token: `version ‖ session id ‖ counter ‖ nonce ‖ HMAC`.
//!
//! Opaque to clients, self-authenticating to us: garbage is refused without the database, and
//! the same counter always gives the same text, so that every tab gets the same successor.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::secret::{DerivedKey, SecretText, base64url, sha256};

/// Makes and reads refresh tokens. The first key makes; all of them are accepted, so that
/// tokens survive a change of the master key.
#[derive(Debug)]
pub struct RefreshTokens {
    keys: Vec<DerivedKey>,
}

/// What a token of ours says.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session.
    pub session_id: [u8; 16],
    /// Which token of the session.
    pub counter: i64,
    nonce: [u8; 16],
}

impl RefreshToken {
    /// The first token of a session.
    pub fn first(session_id: [u8; 16], nonce: [u8; 16]) -> Self {
        Self {
            session_id,
            counter: 0,
            nonce,
        }
    }

    /// Another token of the same session.
    pub fn with_counter(&self, counter: i64) -> Self {
        Self {
            counter,
            ..self.clone()
        }
    }

    /// The session id as text (`sid`).
    pub fn session_id_text(&self) -> String {
        base64url(&self.session_id)
    }

    /// What the database stores of the nonce.
    pub fn nonce_hash(&self) -> [u8; 32] {
        sha256(&self.nonce)
    }

    fn to_bytes(&self) -> [u8; BODY_BYTES] {
        let mut bytes = [0; BODY_BYTES];
        bytes[0] = VERSION;
        bytes[1..17].copy_from_slice(&self.session_id);
        bytes[17..25].copy_from_slice(&self.counter.to_be_bytes());
        bytes[25..41].copy_from_slice(&self.nonce);
        bytes
    }

    fn from_bytes(bytes: &[u8; BODY_BYTES]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (session_id, rest) = rest.split_first_chunk::<16>()?;
        let (counter, rest) = rest.split_first_chunk::<8>()?;
        let nonce = rest.first_chunk::<16>()?;
        let counter = i64::from_be_bytes(*counter);
        (*version == VERSION && counter >= 0).then_some(Self {
            session_id: *session_id,
            counter,
            nonce: *nonce,
        })
    }
}

impl RefreshTokens {
    /// Keys, the current one first.
    pub fn new(keys: Vec<DerivedKey>) -> Self {
        Self { keys }
    }

    /// The token as a client gets it.
    pub fn encode(&self, token: &RefreshToken) -> SecretText {
        let body = token.to_bytes();
        let tag = self
            .keys
            .first()
            .expect("there is always a current key")
            .mac(&[&body]);
        SecretText::new(format!(
            "{PREFIX}{}",
            base64url(&[body.as_slice(), &tag].concat())
        ))
    }

    /// Reads a presented token; `None` for anything we did not make.
    pub fn decode(&self, text: &str) -> Option<RefreshToken> {
        let encoded = text
            .strip_prefix(PREFIX)
            .filter(|encoded| encoded.len() == ENCODED_CHARS)?;
        let mut bytes = [0; BODY_BYTES + TAG_BYTES];
        Base64UrlUnpadded::decode(encoded, &mut bytes).ok()?;
        let (body, tag) = bytes.split_first_chunk::<BODY_BYTES>()?;
        let ours = self.keys.iter().any(|key| key.verify(&[body], tag));
        RefreshToken::from_bytes(body).filter(|_| ours)
    }
}

/// Lets scanners for leaked secrets recognise one.
const PREFIX: &str = "tgr_";
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 16 + 8 + 16;
const TAG_BYTES: usize = 32;
const ENCODED_CHARS: usize = (BODY_BYTES + TAG_BYTES).div_ceil(3) * 4 - 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    fn tokens(bytes: &[u8]) -> RefreshTokens {
        RefreshTokens::new(
            bytes
                .iter()
                .map(|b| MasterKey::from_bytes([*b; 32]).derive(Purpose::RefreshTokens))
                .collect(),
        )
    }

    #[test]
    fn a_token_is_read_as_it_was_made() {
        let token = RefreshToken::first([1; 16], [2; 16]).with_counter(i64::MAX);
        let text = tokens(&[1]).encode(&token);
        assert!(tokens(&[1]).decode(text.expose()) == Some(token));
    }

    #[test]
    fn one_counter_always_gives_one_text() {
        let token = RefreshToken::first([1; 16], [2; 16]);
        assert_eq!(
            tokens(&[1]).encode(&token).expose(),
            tokens(&[1]).encode(&token).expose()
        );
        assert_ne!(
            tokens(&[1]).encode(&token).expose(),
            tokens(&[1]).encode(&token.with_counter(1)).expose()
        );
    }

    #[test]
    fn the_previous_master_key_is_accepted_and_a_foreign_one_is_not() {
        let text = tokens(&[1]).encode(&RefreshToken::first([1; 16], [2; 16]));
        assert!(tokens(&[2, 1]).decode(text.expose()).is_some());
        assert!(tokens(&[2]).decode(text.expose()).is_none());
    }

    #[test]
    fn every_altered_character_is_refused() {
        let tokens = tokens(&[1]);
        let text = tokens.encode(&RefreshToken::first([1; 16], [2; 16]));
        let text = text.expose();
        for i in 0..text.len() {
            let mut altered = text.to_owned().into_bytes();
            altered[i] = if altered[i] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert!(tokens.decode(&altered).is_none(), "character {i}");
        }
        for other in [
            "",
            "tgr_",
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}{text}"),
            &format!("{text}="),
        ] {
            assert!(tokens.decode(other).is_none(), "{other}");
        }
    }
}
