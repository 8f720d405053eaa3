//! Signatures out of public sets, with the strict verdict on each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read;
use crate::forge::decode;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub name: String,
    /// Hexadecimal, as are the next two.
    pub public_key: String,
    pub message: String,
    pub signature: String,
    pub valid: bool,
}

pub fn all() -> Vec<Case> {
    [
        wycheproof(),
        speccheck(),
        low_order(),
        rfc8037(),
        ietf_cookbook(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    pairs.map(|pair| byte(pair).expect("hexadecimal")).collect()
}

fn wycheproof() -> Vec<Case> {
    let set = source("wycheproof_ed25519.json");
    let mut cases = Vec::new();
    for group in list(&set["testGroups"]) {
        for test in list(&group["tests"]) {
            cases.push(Case {
                name: format!("wycheproof {}: {}", test["tcId"], text(&test["comment"])),
                public_key: text(&group["publicKey"]["pk"]),
                message: text(&test["msg"]),
                signature: text(&test["sig"]),
                valid: test["result"] == "valid",
            });
        }
    }
    cases
}

/// Of these twelve, implementations accept between one and eleven; the strict rule accepts
/// what all of them do.
fn speccheck() -> Vec<Case> {
    let case = |(i, test): (usize, &Value)| Case {
        name: format!("speccheck {i}"),
        public_key: text(&test["pub_key"]),
        message: text(&test["message"]),
        signature: text(&test["signature"]),
        valid: i == 3,
    };
    list(&source("speccheck.json"))
        .iter()
        .enumerate()
        .map(case)
        .collect()
}

/// Each encoding of a point of small order as key, and as `R` under a good key. With `s` = 0
/// a lenient verifier accepts the former for one message in eight or for every message.
fn low_order() -> Vec<Case> {
    let good_key = hex(&decode(crate::forge::X));
    let zero = "00".repeat(32);
    let identity = format!("01{}", "00".repeat(31));
    let mut cases = Vec::new();
    for (i, point) in list(&source("cctv_low_order_encodings.json"))
        .iter()
        .enumerate()
    {
        let point = text(point);
        for message in 0..8u8 {
            cases.push(Case {
                name: format!("low-order key {i}, message {message}"),
                public_key: point.clone(),
                message: hex(&[message]),
                signature: format!("{identity}{zero}"),
                valid: false,
            });
        }
        cases.push(Case {
            name: format!("low-order R {i}"),
            public_key: good_key.clone(),
            message: String::new(),
            signature: format!("{point}{zero}"),
            valid: false,
        });
    }
    cases
}

fn rfc8037() -> Vec<Case> {
    let set = source("rfc8037.json");
    let case = from_jws(
        "RFC 8037 appendix A.4",
        &text(&set["jwk_public"]["x"]),
        &text(&set["compact"]),
    );
    vec![case]
}

fn ietf_cookbook() -> Vec<Case> {
    let set = source("ietf_cookbook_curve25519.json");
    let x = text(&set["input"]["key"]["x"]);
    vec![from_jws(
        "IETF JOSE cookbook, curve25519",
        &x,
        &text(&set["output"]["compact"]),
    )]
}

fn from_jws(name: &str, x: &str, jws: &str) -> Case {
    let (message, signature) = jws.rsplit_once('.').expect("compact serialisation");
    Case {
        name: name.to_owned(),
        public_key: hex(&decode(x)),
        message: hex(message.as_bytes()),
        signature: hex(&decode(signature)),
        valid: true,
    }
}

fn source(name: &str) -> Value {
    serde_json::from_str(&read(&format!("sources/{name}"))).expect("public sets are JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
