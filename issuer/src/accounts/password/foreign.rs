//! Password hashes that other systems made: checked here once, replaced at the next sign-in.

use std::fmt::Write;

use argon2::password_hash::phc::PasswordHash;
use scrypt::Params;
use subtle::ConstantTimeEq;

/// A hash whose kind is known here and whose cost is bounded: whoever can write hashes must not
/// be able to make a sign-in take seconds or gigabytes.
#[derive(Clone, Copy)]
pub enum StoredHash<'a> {
    /// Argon2id of any allowed cost, as a PHC string.
    Argon2id(&'a str),
    /// `$2a$`, `$2b$` or `$2y$`.
    Bcrypt(&'a str),
    /// Better Auth's: salt and key in hexadecimal.
    Scrypt {
        /// Used as the text it is.
        salt: &'a str,
        /// In hexadecimal.
        key: &'a str,
    },
}

impl<'a> StoredHash<'a> {
    /// `None` when the kind is unknown or the cost is too high.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.starts_with("$argon2id$") {
            return is_affordable_argon2id(text).then_some(Self::Argon2id(text));
        }
        if text.starts_with("$2") {
            return is_affordable_bcrypt(text).then_some(Self::Bcrypt(text));
        }
        let (salt, key) = text.split_once(':')?;
        let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let fits = SCRYPT_SALT_DIGITS.contains(&salt.len()) && key.len() == 2 * SCRYPT_KEY_BYTES;
        (fits && is_hex(salt) && is_hex(key)).then_some(Self::Scrypt { salt, key })
    }
}

/// Whether a password is that of a bcrypt hash.
pub fn bcrypt_matches(password: &[u8], hash: &str) -> bool {
    // As everywhere else, what goes beyond 72 bytes does not count.
    bcrypt::verify(password, hash).unwrap_or(false)
}

/// Whether a password is that of a hash made by Better Auth.
pub fn scrypt_matches(password: &[u8], salt: &str, key: &str) -> bool {
    let params = Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P)
        .expect("the parameters are within scrypt's bounds");
    let mut made = [0; SCRYPT_KEY_BYTES];
    let hashed = scrypt::scrypt(password, salt.as_bytes(), &params, &mut made).is_ok();
    let stored = key.to_ascii_lowercase();
    hashed && bool::from(hexadecimal(&made).as_bytes().ct_eq(stored.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

fn is_affordable_argon2id(text: &str) -> bool {
    let Ok(hash) = PasswordHash::new(text) else {
        return false;
    };
    let at_most = |name: &str, max: u32| {
        let value = hash.params.get_decimal(name);
        value.is_some_and(|value| value <= max)
    };
    hash.hash.is_some()
        && at_most("m", MAX_ARGON2_MEMORY_KIB)
        && at_most("t", MAX_ARGON2_PASSES)
        && at_most("p", MAX_ARGON2_LANES)
}

/// `$2b$12$` and 53 characters.
fn is_affordable_bcrypt(text: &str) -> bool {
    let known = ["$2a$", "$2b$", "$2y$"];
    let rest = known.iter().find_map(|kind| text.strip_prefix(kind));
    let Some((cost, rest)) = rest.and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    let is_cost = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
    let cost = cost.parse::<u32>().ok().filter(|_| is_cost);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'/';
    cost.is_some_and(|cost| (MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&cost))
        && rest.len() == 53
        && rest.bytes().all(plain)
}

/// Each of these takes less than the common time of a refusal on a machine of today.
const MAX_ARGON2_MEMORY_KIB: u32 = 64 * 1024;
const MAX_ARGON2_PASSES: u32 = 3;
const MAX_ARGON2_LANES: u32 = 4;
const MIN_BCRYPT_COST: u32 = 4;
const MAX_BCRYPT_COST: u32 = 12;
/// Better Auth's parameters: N = 16384, r = 16, p = 1, a key of 64 bytes.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 16;
const SCRYPT_P: u32 = 1;
const SCRYPT_KEY_BYTES: usize = 64;
/// It makes 32; a few more do no harm.
const SCRYPT_SALT_DIGITS: std::ops::RangeInclusive<usize> = 16..=64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `correct horse battery`, by Node's `crypto.scryptSync` with Better Auth's parameters.
    const SCRYPT: &str = "000102030405060708090a0b0c0d0e0f:70cc7d605f9fd0bfd324b3978bd79ee81076d98810046ed91604c3cb8aa6957761a2b0b97abf1e7c417ec4a9baa7bd1ce53449880d90dc1117c88d69b4f0b72e";

    #[test]
    fn a_hash_made_by_better_auth_verifies_its_password_and_no_other() {
        let (salt, key) = SCRYPT.split_once(':').expect("two parts");
        assert!(scrypt_matches(b"correct horse battery", salt, key));
        assert!(!scrypt_matches(b"correct horse batterY", salt, key));
        assert!(scrypt_matches(
            b"correct horse battery",
            salt,
            &key.to_uppercase()
        ));
    }

    #[test]
    fn a_bcrypt_hash_verifies_its_password_and_no_other() {
        // From the test vectors of the reference implementation (crypt_blowfish).
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for kind in ["$2a$", "$2b$", "$2y$"] {
            let hash = hash.replace("$2a$", kind);
            assert!(bcrypt_matches(b"U*U", &hash), "{kind}");
            assert!(!bcrypt_matches(b"U*V", &hash), "{kind}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let bcrypt = format!("$2b$12${}", "a".repeat(53));
        assert!(matches!(
            StoredHash::parse(SCRYPT),
            Some(StoredHash::Scrypt { .. })
        ));
        assert!(matches!(
            StoredHash::parse(&bcrypt),
            Some(StoredHash::Bcrypt(_))
        ));
        let argon2id = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk";
        assert!(matches!(
            StoredHash::parse(argon2id),
            Some(StoredHash::Argon2id(_))
        ));
    }

    #[test]
    fn what_is_unknown_or_costs_too_much_is_refused() {
        let body = "a".repeat(53);
        let key = "a".repeat(128);
        let bad = [
            String::new(),
            "plain text".into(),
            format!("$2b$13${body}"),
            format!("$2b$03${body}"),
            format!("$2b$+9${body}"),
            format!("$2x$10${body}"),
            format!("$2b$10${body}a"),
            format!("$2b$10${}", "\u{e4}".repeat(26)),
            format!("{}:{key}", "a".repeat(15)),
            format!("{}:{key}", "a".repeat(65)),
            format!("{}:{key}a", "a".repeat(32)),
            format!("{}:{key}", "g".repeat(32)),
            "$argon2id$v=19$m=65537,t=2,p=1$c2FsdHNhbHQ$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk".into(),
            "$argon2id$v=19$m=19456,t=4,p=1$c2FsdHNhbHQ$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk".into(),
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ".into(),
            "$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$Jx8Up9XBHmLN2lHqzGBtvGmbZlfVSfQ3A5jMDqXGkCk".into(),
        ];
        for text in bad {
            assert!(StoredHash::parse(&text).is_none(), "{text}");
        }
    }
}
