//! Recovery codes: ten, shown once, each used once.

use zeroize::Zeroizing;

use crate::ids::Entropy;
use crate::secret::sha256;

/// A code as a person keeps it: `xxxx-xxxx-xxxx-xxxx`, 80 bits.
pub struct RecoveryCode(Zeroizing<String>);

impl RecoveryCode {
    /// As many as one gets.
    pub fn generate_all(entropy: &Entropy) -> Vec<Self> {
        (0..CODES).map(|_| Self::generate(entropy)).collect()
    }

    /// Reads what somebody typed: capitals, spaces and hyphens do not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = Zeroizing::new(String::with_capacity(CHARS));
        for c in text.chars().filter(|c| !matches!(c, ' ' | '-')) {
            let c = c.to_ascii_lowercase();
            if !c.is_ascii() || !ALPHABET.contains(&(c as u8)) || code.len() == CHARS {
                return None;
            }
            code.push(c);
        }
        (code.len() == CHARS).then_some(Self(code))
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        let groups: Vec<&str> = (0..CHARS / 4).map(|i| &self.0[i * 4..i * 4 + 4]).collect();
        groups.join("-")
    }

    /// As it is stored: with so much randomness a plain hash is enough.
    pub fn hash(&self, user_id: &str) -> [u8; 32] {
        sha256(format!("{user_id}\n{}", *self.0).as_bytes())
    }

    fn generate(entropy: &Entropy) -> Self {
        let bytes = Zeroizing::new(entropy.bytes::<CHARS>());
        // 32 characters divide 256, so each is as likely as any other.
        let text = bytes
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(Zeroizing::new(text.collect()))
    }
}

/// Digits and letters that are not taken for one another.
const ALPHABET: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz0";
const CHARS: usize = 16;
const CODES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_different_codes_that_read_back() {
        let codes = RecoveryCode::generate_all(&Entropy::seeded(1));
        assert_eq!(codes.len(), 10);
        for (i, code) in codes.iter().enumerate() {
            assert_eq!(code.shown().len(), 19);
            let typed = code.shown().to_uppercase().replace('-', " ");
            let read = RecoveryCode::parse(&typed).expect("reads back");
            assert_eq!(read.hash("ada"), code.hash("ada"));
            assert_ne!(read.hash("bob"), code.hash("ada"));
            assert!(
                codes[i + 1..]
                    .iter()
                    .all(|other| other.shown() != code.shown())
            );
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in [
            "",
            "2345",
            "2345-6789-abcd-efg",
            "2345-6789-abcd-efghh",
            "2345-6789-abcd-ef!h",
            "2345-6789-abcd-efgl",
        ] {
            assert!(RecoveryCode::parse(text).is_none(), "{text}");
        }
    }
}
