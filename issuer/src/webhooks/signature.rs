//! Signatures of Standard Webhooks: `v1,` and the base64 of an HMAC-SHA256 over id, time and body.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::apps::SigningSecret;

/// The value of `webhook-signature`: one signature for each secret, apart by a space, so that a
/// receiver may hold either.
pub fn signatures(secrets: &[SigningSecret], event_id: &str, timestamp: i64, body: &str) -> String {
    let signed = secrets
        .iter()
        .map(|secret| sign(secret, event_id, timestamp, body));
    signed.collect::<Vec<_>>().join(" ")
}

fn sign(secret: &SigningSecret, event_id: &str, timestamp: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
    mac.update(format!("{event_id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    let code = mac.finalize().into_bytes();
    format!("v1,{}", Base64::encode_string(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).expect("a secret")
    }

    #[test]
    fn the_vector_of_the_specification_comes_out() {
        let secrets = [secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        assert_eq!(signatures(&secrets, ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn two_secrets_sign_side_by_side_the_present_one_first() {
        let (new, old) = (
            secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            secret("whsec_AAEC"),
        );
        let both = signatures(&[new, old], ID, 1_614_265_330, BODY);
        let (first, second) = both.split_once(' ').expect("two");
        assert_eq!(first, SIGNATURE);
        assert!(second.starts_with("v1,") && second != first && !second.contains(' '));
    }

    #[test]
    fn id_time_and_body_are_all_signed() {
        let secrets = [secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let of = |id, at, body| signatures(&secrets, id, at, body);
        assert_ne!(of("msg_x", 1_614_265_330, BODY), SIGNATURE);
        assert_ne!(of(ID, 1_614_265_331, BODY), SIGNATURE);
        assert_ne!(of(ID, 1_614_265_330, "{}"), SIGNATURE);
    }
}
