mod feed;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

/// The payload of a feed document, unverified.
pub fn payload(jws: &str) -> Value {
    let segment = jws.split('.').nth(1).expect("three segments");
    let bytes = Base64UrlUnpadded::decode_vec(segment).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
