//! Codes of gifts: 128 bits, as a person can type them.

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::{DerivedKey, SecretText, sha256};

/// Makes codes, under the master key, and finds them again, also under the one before.
#[derive(Debug)]
pub struct GiftCodes {
    keys: Vec<DerivedKey>,
}

impl GiftCodes {
    /// The first key makes, all of them find.
    pub fn new(keys: Vec<DerivedKey>) -> Self {
        Self { keys }
    }

    /// The code of a gift: nobody who lacks the key can tell it from its id.
    pub fn make(&self, gift_id: &str) -> GiftCode {
        let newest = self.keys.first();
        GiftCode::under(newest.expect("there is always a current key"), gift_id)
    }

    /// The code that was shown when the gift was made; `None` when the key it was made with is
    /// gone.
    pub fn find(&self, gift_id: &str, hash: &[u8]) -> Option<GiftCode> {
        let codes = self.keys.iter().map(|key| GiftCode::under(key, gift_id));
        codes.into_iter().find(|code| code.hash() == hash)
    }
}

/// A code. Whoever has it can take the gift.
pub struct GiftCode(Zeroizing<[u8; 16]>);

impl GiftCode {
    fn under(key: &DerivedKey, gift_id: &str) -> Self {
        let tag = Zeroizing::new(key.mac(&[b"gift\n", gift_id.as_bytes()]));
        let mut bytes = Zeroizing::new([0; 16]);
        bytes.copy_from_slice(&tag[..16]);
        Self(bytes)
    }

    /// Reads what somebody typed: case, hyphens and spaces do not matter, and letters that look
    /// like digits count as these. `None` for anything that we cannot have made.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits = Zeroizing::new(0_u128);
        let mut n_symbols = 0;
        for character in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let value = value_of(character)?;
            // The first symbol holds 3 bits, the others 5.
            if n_symbols == N_SYMBOLS || (n_symbols == 0 && value > 7) {
                return None;
            }
            *bits = *bits << 5 | value;
            n_symbols += 1;
        }
        (n_symbols == N_SYMBOLS).then(|| Self(Zeroizing::new(bits.to_be_bytes())))
    }

    /// In groups of four, for people.
    pub fn text(&self) -> SecretText {
        let bits = Zeroizing::new(u128::from_be_bytes(*self.0));
        let mut text = String::with_capacity(N_SYMBOLS + N_SYMBOLS / 4);
        for i in 0..N_SYMBOLS {
            if i > 0 && i % 4 == 0 {
                text.push('-');
            }
            let shift = 5 * (N_SYMBOLS - 1 - i);
            text.push(char::from(SYMBOLS[usize::from(low_bits(*bits >> shift))]));
        }
        SecretText::new(text)
    }

    /// What the database keeps. A hash without salt is enough for 128 random bits.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_ref())
    }
}

impl fmt::Debug for GiftCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GiftCode")
    }
}

fn low_bits(bits: u128) -> u8 {
    (bits.to_be_bytes()[15]) & 31
}

fn value_of(character: char) -> Option<u128> {
    let read = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let position = SYMBOLS
        .iter()
        .position(|symbol| char::from(*symbol) == read)?;
    u128::try_from(position).ok()
}

/// Base 32 as Crockford has it: no letter that is taken for a digit, and no U.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 symbols of 5 bits hold 128, with two to spare.
const N_SYMBOLS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{MasterKey, Purpose};

    fn codes(keys: &[u8]) -> GiftCodes {
        let derive = |byte: &u8| MasterKey::from_bytes([*byte; 32]).derive(Purpose::GiftCodes);
        GiftCodes::new(keys.iter().map(derive).collect())
    }

    #[test]
    fn a_code_is_read_back_however_it_is_typed() {
        let code = codes(&[1]).make("AAAAAAAAAAAAAAAAAAAAAA");
        let text = code.text().expose().to_owned();
        assert_eq!(text.len(), 32);
        assert!(text.split('-').all(|group| matches!(group.len(), 2 | 4)));
        let typed = [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            text.replace('0', "o").replace('1', "l"),
        ];
        for typed in typed {
            let read = GiftCode::parse(&typed).expect("a code");
            assert_eq!(read.hash(), code.hash());
        }
    }

    #[test]
    fn every_bit_counts() {
        for byte in [0, 1, 127, 128, 255] {
            let code = GiftCode(Zeroizing::new([byte; 16]));
            let read = GiftCode::parse(code.text().expose()).expect("a code");
            assert_eq!(*read.0, [byte; 16]);
        }
    }

    #[test]
    fn what_we_cannot_have_made_is_not_a_code() {
        let text = codes(&[1]).make("x").text().expose().to_owned();
        let shortened = &text[..text.len() - 1];
        let lengthened = format!("{text}0");
        for bad in [
            "",
            "-",
            "0",
            shortened,
            &lengthened,
            &"8".repeat(26),
            &"U".repeat(26),
            &"é".repeat(26),
            &"0".repeat(200),
        ] {
            assert!(GiftCode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_code_is_found_after_a_change_of_the_master_key_and_not_after_two() {
        let code = codes(&[1]).make("x");
        assert!(codes(&[2, 1]).find("x", &code.hash()).is_some());
        assert!(codes(&[3, 2]).find("x", &code.hash()).is_none());
        assert!(codes(&[1]).find("y", &code.hash()).is_none());
    }

    #[test]
    fn a_code_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", codes(&[1]).make("x")), "GiftCode");
    }
}
