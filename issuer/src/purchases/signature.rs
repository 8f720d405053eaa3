//! Stripe's scheme of signing: `Stripe-Signature: t=…,v1=…[,v1=…]`, where `v1` is HMAC-SHA256 over
//! the time, a dot and the raw body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::secret::SecretText;

/// Whether a body is from whoever knows the secret, and recent. Schemes other than `v1` are passed
/// over: what could be forged in an older one must not count.
pub fn is_genuine(secret: &SecretText, header: &str, body: &[u8], now: OffsetDateTime) -> bool {
    let Some((time, signatures)) = read(header) else {
        return false;
    };
    let Ok(seconds) = time.parse::<i64>() else {
        return false;
    };
    if (now.unix_timestamp() - seconds).abs() > TOLERANCE_SECS {
        return false;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    for part in [time.as_bytes(), b".", body] {
        mac.update(part);
    }
    // While a secret is being replaced Stripe signs with both.
    signatures
        .iter()
        .any(|signature| mac.clone().verify_slice(signature).is_ok())
}

fn read(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let (mut time, mut signatures) = (None, Vec::new());
    for element in header.split(',') {
        match element.trim().split_once('=')? {
            ("t", value) if time.is_none() && is_time(value) => time = Some(value),
            ("t", _) => return None,
            ("v1", value) => signatures.extend(hex(value)),
            _ => {}
        }
    }
    Some((time?, signatures)).filter(|(_, signatures)| !signatures.is_empty())
}

fn is_time(text: &str) -> bool {
    (1..=MAX_TIME_DIGITS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    (text.len() == HEX_DIGITS)
        .then(|| bytes.try_into().ok())
        .flatten()
}

/// What Stripe's own libraries allow: a copied report is of no use for longer.
const TOLERANCE_SECS: i64 = 300;
/// A time and a dozen signatures.
const MAX_HEADER_BYTES: usize = 1_024;
const MAX_TIME_DIGITS: usize = 12;
const HEX_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const AT: i64 = 1_772_366_400;

    fn sign(secret: &str, at: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        let mut text = String::new();
        for byte in mac.finalize().into_bytes() {
            write!(text, "{byte:02x}").expect("a string grows");
        }
        text
    }

    fn genuine(header: &str, body: &[u8], now: i64) -> bool {
        let secret = SecretText::new("whsec_right".into());
        let now = OffsetDateTime::from_unix_timestamp(now).expect("a time");
        is_genuine(&secret, header, body, now)
    }

    #[test]
    fn signature_made_elsewhere_is_accepted() {
        // printf '%s' '1772366400.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_right
        let made = "277d96fbddac00df4c6bc9dd4c52b68e8cc23cc226114d260f5593e2e339469e";
        assert_eq!(sign("whsec_right", AT, BODY), made);
        assert!(genuine(&format!("t={AT},v1={made}"), BODY, AT));
    }

    #[test]
    fn one_of_several_signatures_is_enough_and_other_schemes_count_for_nothing() {
        let (right, wrong) = (sign("whsec_right", AT, BODY), sign("whsec_wrong", AT, BODY));
        for good in [
            format!("t={AT},v1={wrong},v1={right}"),
            format!("t={AT},v1={right},v1={wrong}"),
            format!("v0={wrong}, t={AT}, v1={right}"),
            format!("t={AT},v1=zz,v1={right}"),
            format!("t={AT},v1={}", right.to_uppercase()),
        ] {
            assert!(genuine(&good, BODY, AT), "{good}");
        }
        for bad in [
            format!("t={AT},v1={wrong}"),
            format!("t={AT},v0={right}"),
            format!("t={AT},v2={right}"),
        ] {
            assert!(!genuine(&bad, BODY, AT), "{bad}");
        }
    }

    #[test]
    fn five_minutes_either_way_and_not_a_second_more() {
        let header = format!("t={AT},v1={}", sign("whsec_right", AT, BODY));
        for near in [AT - 300, AT, AT + 300] {
            assert!(genuine(&header, BODY, near), "{near}");
        }
        for far in [AT - 301, AT + 301] {
            assert!(!genuine(&header, BODY, far), "{far}");
        }
    }

    #[test]
    fn anything_changed_or_missing_is_refused() {
        let right = sign("whsec_right", AT, BODY);
        assert!(!genuine(
            &format!("t={AT},v1={right}"),
            br#"{"id":"evt_2"}"#,
            AT
        ));
        let long = format!("t={AT},v1={right},v0={}", "0".repeat(1_024));
        for bad in [
            "",
            "t",
            "t=,v1=",
            &format!("v1={right}"),
            &format!("t={AT}"),
            &format!("t={},v1={right}", AT + 1),
            &format!("t={AT},t={AT},v1={right}"),
            &format!("t=-1,v1={right}"),
            &format!("t=99999999999999999999,v1={right}"),
            &format!("t={AT},v1={}", &right[..62]),
            &format!("t={AT},v1={right}00"),
            &format!("t={AT},v1=\u{e9}{}", &right[2..]),
            &long,
        ] {
            assert!(!genuine(bad, BODY, AT), "{bad}");
        }
    }
}
