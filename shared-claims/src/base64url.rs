//! base64url without padding, in the one form RFC 4648 §3.5 calls canonical.
//!
//! A lenient decoder gives one token many spellings, which breaks everything that
//! compares or caches token text.

use alloc::string::String;
use alloc::vec::Vec;

/// The bytes `text` stands for; `None` for padding, white space, foreign characters, an
/// impossible length and unused bits that are not zero.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    let mut out = Vec::with_capacity(groups.len() * 3 + 2);
    out.resize(groups.len() * 3, 0);
    // What is foreign sets a bit that no character of the alphabet has; one look at the end
    // tells whether there was any.
    let mut seen = 0;
    for (group, bytes) in groups.iter().zip(out.as_chunks_mut::<3>().0) {
        let [a, b, c, d] = group.map(|byte| VALUES[usize::from(byte)]);
        seen |= a | b | c | d;
        *bytes = [
            a << 2 | b >> 4 & 0x3,
            b << 4 | c >> 2 & 0xf,
            c << 6 | d & 0x3f,
        ];
    }
    let mut values = [0; 3];
    for (value, byte) in values.iter_mut().zip(rest) {
        *value = VALUES[usize::from(*byte)];
        seen |= *value;
    }
    let [a, b, c] = values;
    let unused = match rest.len() {
        0 => 0,
        2 => b & 0xf,
        3 => c & 0x3,
        _ => return None,
    };
    if seen & FOREIGN != 0 || unused != 0 {
        return None;
    }
    let last = [a << 2 | b >> 4, b << 4 | c >> 2];
    out.extend_from_slice(&last[..rest.len().saturating_sub(1)]);
    Some(out)
}

/// Appends `bytes` as base64url.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut group = [0u8; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for i in 0..=chunk.len() {
            let index = bits >> (18 - 6 * i) & 0x3f;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
}

/// `bytes` as base64url.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    encode_into(bytes, &mut out);
    out
}

/// The value of one character (RFC 4648 §5).
pub(crate) const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// The values of all bytes.
const VALUES: [u8; 256] = {
    let mut values = [FOREIGN; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        #[expect(clippy::cast_possible_truncation, reason = "there are 64")]
        let number = value as u8;
        values[ALPHABET[value] as usize] = number;
        value += 1;
    }
    values
};

/// No value of six bits.
const FOREIGN: u8 = 0x80;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};

    use super::*;
    use crate::random::Random;

    #[test]
    fn bytes_of_every_length_come_back() {
        let mut random = Random::new(2);
        for len in 0..=200 {
            let bytes = &random.array::<200>()[..len];
            let text = encode(bytes);
            assert_eq!(text, Base64UrlUnpadded::encode_string(bytes));
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn every_short_text_is_judged_as_the_reference_does() {
        let all: Vec<u8> = (0..=255).collect();
        let some = b"AQgwxyz-_+/=. \n\0";
        for &a in &all {
            for &b in &all {
                same_verdict(&[a, b]);
                for &c in some {
                    same_verdict(&[a, b, c]);
                    same_verdict(&[b'A', a, c, b]);
                }
            }
            same_verdict(&[a]);
        }
        same_verdict(&[]);
    }

    fn same_verdict(text: &[u8]) {
        let reference = core::str::from_utf8(text)
            .ok()
            .and_then(|text| Base64UrlUnpadded::decode_vec(text).ok());
        assert_eq!(decode(text), reference, "{text:?}");
    }

    #[test]
    fn padding_white_space_and_unused_bits_are_refused() {
        for text in [
            "QQ==", "QQ=", "QR", "QUF=", "QUJ", " QQ", "QQ ", "QQ\n", "Q", "QUFBQ", "Q+", "Q/",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"QUE"), Some(Vec::from(*b"AA")));
    }
}
