//! The form in which a key set lies in the cache of a data centre.
//!
//! Any Worker of the zone can write to that cache. The copy therefore says when the
//! issuer sent it, and carries an HMAC where the gateway has a secret; without one the
//! cache is trusted as far as the zone's Workers are.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared_claims::UnixMillis;

use crate::hex;

/// Writes a copy: time, tag and document, divided by line feeds.
pub fn write(secret: Option<&str>, name: &str, fetched_at: UnixMillis, document: &str) -> String {
    let time = fetched_at.as_millis().to_string();
    let tag = secret.map_or_else(
        || NO_TAG.to_owned(),
        |secret| hex::encode(&mac(secret, name, &time, document).finalize().into_bytes()),
    );
    format!("{time}\n{tag}\n{document}")
}

/// Reads a copy; `None` when it is not one of ours, or not for this name.
pub fn read<'a>(secret: Option<&str>, name: &str, copy: &'a str) -> Option<(UnixMillis, &'a str)> {
    let (time, rest) = copy.split_once('\n')?;
    let (tag, document) = rest.split_once('\n')?;
    let good = match secret {
        Some(secret) => mac(secret, name, time, document)
            .verify_slice(&hex::decode(tag)?)
            .is_ok(),
        None => tag == NO_TAG,
    };
    let millis = time.parse().ok().filter(|_| good)?;
    Some((UnixMillis::from_millis(millis), document))
}

fn mac(secret: &str, name: &str, time: &str, document: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    for part in [name, "\n", time, "\n", document] {
        mac.update(part.as_bytes());
    }
    mac
}

/// Stands where the tag would be, in gateways without a secret.
const NO_TAG: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    const SECRET: Option<&str> = Some("a secret of the Worker");

    #[test]
    fn copy_is_read_back_with_and_without_secret() {
        for secret in [SECRET, None] {
            let copy = write(secret, "jwks", NOW, "{\"keys\":[]}");
            assert_eq!(read(secret, "jwks", &copy), Some((NOW, "{\"keys\":[]}")));
        }
    }

    #[test]
    fn forged_copies_are_not_read() {
        let good = write(SECRET, "jwks", NOW, "{}");
        let other_time = good.replacen('1', "2", 1);
        let cut = good[..good.len() - 1].to_owned();
        let untagged = write(None, "jwks", NOW, "{}");
        let other_secret = write(Some("another"), "jwks", NOW, "{}");
        for copy in [
            other_time,
            cut,
            untagged,
            other_secret,
            good.replace("{}", "{ }"),
        ] {
            assert_eq!(read(SECRET, "jwks", &copy), None, "{copy}");
        }
        assert_eq!(read(SECRET, "feed-jwks", &good), None);
        assert_eq!(read(None, "jwks", &good), None);
    }

    #[test]
    fn what_is_no_copy_is_not_read() {
        for text in [
            "",
            "\n",
            "1\n",
            "1\n-",
            "x\n-\n{}",
            "-1\n-\n{}",
            "1\n\n{}",
            "1\nzz\n{}",
            "1\nabc\n{}",
        ] {
            assert_eq!(read(None, "jwks", text), None, "{text:?}");
            assert_eq!(read(SECRET, "jwks", text), None, "{text:?}");
        }
    }
}
