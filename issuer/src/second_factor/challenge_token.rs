//! The form of a challenge's token: `kind ‖ id ‖ HMAC`. Garbage is refused without the database.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::secret::{DerivedKey, SecretText, base64url};

/// Makes and reads tokens of challenges. The first key makes; all of them are accepted.
#[derive(Debug)]
pub struct ChallengeTokens {
    keys: Vec<DerivedKey>,
}

/// What a token stands for. One kind never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sign-in that waits for its second factor.
    Login,
    /// Something an authenticator was asked.
    Ceremony,
}

/// The id of a challenge.
pub type ChallengeId = [u8; 16];

impl ChallengeTokens {
    /// Keys, the current one first.
    pub fn new(keys: Vec<DerivedKey>) -> Self {
        Self { keys }
    }

    /// The token as a client gets it.
    pub fn encode(&self, kind: Kind, id: ChallengeId) -> SecretText {
        let key = self.keys.first().expect("there is always a current key");
        let tag = key.mac(&[&[kind.byte()], &id]);
        let bytes = [[kind.byte()].as_slice(), &id, &tag].concat();
        SecretText::new(format!("{PREFIX}{}", base64url(&bytes)))
    }

    /// Reads a presented token; `None` for anything we did not make for this.
    pub fn decode(&self, kind: Kind, text: &str) -> Option<ChallengeId> {
        let encoded = text.strip_prefix(PREFIX)?;
        let mut bytes = [0; 1 + 16 + 32];
        if encoded.len() != ENCODED_CHARS {
            return None;
        }
        Base64UrlUnpadded::decode(encoded, &mut bytes).ok()?;
        let (head, rest) = bytes.split_first()?;
        let (id, tag) = rest.split_first_chunk::<16>()?;
        let ours = |key: &DerivedKey| key.verify(&[&[*head], id], tag);
        (*head == kind.byte() && self.keys.iter().any(ours)).then_some(*id)
    }
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Login => 1,
            Self::Ceremony => 2,
        }
    }
}

/// Lets scanners for leaked secrets recognise one.
const PREFIX: &str = "tgc_";
const ENCODED_CHARS: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    fn tokens(bytes: &[u8]) -> ChallengeTokens {
        let key = |b: &u8| MasterKey::from_bytes([*b; 32]).derive(Purpose::LoginChallenges);
        ChallengeTokens::new(bytes.iter().map(key).collect())
    }

    #[test]
    fn a_token_gives_back_its_id_and_only_for_its_kind() {
        let token = tokens(&[1]).encode(Kind::Login, [5; 16]);
        assert_eq!(
            tokens(&[1]).decode(Kind::Login, token.expose()),
            Some([5; 16])
        );
        assert_eq!(
            tokens(&[2, 1]).decode(Kind::Login, token.expose()),
            Some([5; 16])
        );
        assert_eq!(tokens(&[1]).decode(Kind::Ceremony, token.expose()), None);
        assert_eq!(tokens(&[2]).decode(Kind::Login, token.expose()), None);
    }

    #[test]
    fn whatever_was_altered_or_made_up_is_refused() {
        let tokens = tokens(&[1]);
        let token = tokens.encode(Kind::Login, [5; 16]);
        for i in 0..token.expose().len() {
            let mut altered = token.expose().as_bytes().to_vec();
            altered[i] = if altered[i] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).expect("ASCII");
            assert_eq!(tokens.decode(Kind::Login, &altered), None, "character {i}");
        }
        for text in ["", "tgc_", "tgc_AAAA", &token.expose()[4..]] {
            assert_eq!(tokens.decode(Kind::Login, text), None, "{text}");
        }
    }
}
