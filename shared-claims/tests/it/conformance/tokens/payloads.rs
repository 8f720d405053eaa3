//! Payloads that are not strict JSON objects, all rightly signed.

use super::{Case, accepted, with_claims, with_payload};
use crate::forge::claims;

pub fn cases() -> Vec<Case> {
    [texts(), repeated(), strings_and_numbers()]
        .into_iter()
        .flatten()
        .collect()
}

fn texts() -> Vec<Case> {
    let good = claims().json();
    let bad = |name, payload: String| with_payload(name, payload, "malformed");
    let bytes = |name, payload: &[u8]| with_payload(name, payload, "malformed");
    let latin1: Vec<u8> = claims()
        .with("n", "\"\u{e9}\"")
        .json()
        .chars()
        .map(|c| c as u8)
        .collect();
    vec![
        bad("payload empty text", String::new()),
        bad("payload not JSON", "Example of Ed25519 signing".into()),
        bad("payload an array", format!("[{good}]")),
        bad("payload a string", r#""sub""#.into()),
        bad("payload a number", "1".into()),
        bad("payload null", "null".into()),
        bad("payload only white space", " ".into()),
        bad("payload with text behind", format!("{good};")),
        bad("payload twice", format!("{good}{good}")),
        bad("payload cut off", good[..good.len() - 1].into()),
        bad("payload with trailing comma", good.replace('}', ",}")),
        bad("payload with leading comma", good.replace('{', "{,")),
        bad("payload without comma", good.replacen(',', " ", 1)),
        bad("payload without colon", good.replacen(':', " ", 1)),
        bad("payload with comment", good.replace('}', "}//")),
        bad("payload with byte order mark", format!("\u{feff}{good}")),
        bad("payload with no-break space", format!("\u{a0}{good}")),
        bad("payload with NUL behind", format!("{good}\0")),
        bad("payload with form feed", format!("\u{c}{good}")),
        bytes("payload in Latin-1", &latin1),
        bytes("payload with cut UTF-8", b"{\"sub\":\"\xe2\x82\"}"),
        bytes(
            "payload in UTF-16",
            &good
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect::<Vec<_>>(),
        ),
        bad("payload of nine levels", accepted::nested(&good, 8)),
        bad(
            "payload of a thousand levels",
            accepted::nested(&good, 1000),
        ),
        bad("payload of 129 members", accepted::many_members(&good, 122)),
    ]
}

fn repeated() -> Vec<Case> {
    let bad = |name, claims: crate::forge::Members| with_claims(name, &claims, "malformed");
    vec![
        bad("sub twice", claims().also("sub", r#""admin""#)),
        bad("sub twice, same value", claims().also("sub", r#""user-1""#)),
        bad(
            "sub twice, once escaped",
            claims().also(r"s\u0075b", r#""admin""#),
        ),
        bad(
            "sub twice, escaped first",
            claims()
                .without("sub")
                .also(r"\u0073ub", "1")
                .also("sub", "1"),
        ),
        bad("exp twice", claims().also("exp", 9_999_999_999u64)),
        bad("unknown claim twice", claims().with("n", 1).also("n", 2)),
        bad("empty name twice", claims().with("", 1).also("", 2)),
        bad(
            "name twice in an inner object",
            claims().with("n", r#"{"a":1,"a":2}"#),
        ),
        bad(
            "name twice in an object in an array",
            claims().with("n", r#"[{"a":1,"\u0061":2}]"#),
        ),
    ]
}

fn strings_and_numbers() -> Vec<Case> {
    let bad = |name, json: &str| with_claims(name, &claims().with("n", json), "malformed");
    vec![
        bad("string not closed", r#""x"#),
        bad("string with line feed", "\"\n\""),
        bad("string with NUL", "\"\0\""),
        bad("string with unknown escape", r#""\a""#),
        bad("string with short escape", r#""\u12""#),
        bad("string with bad hexadecimal", r#""\u12g4""#),
        bad("string with sign in hexadecimal", r#""\u+123""#),
        bad("string with high surrogate alone", r#""\ud83d""#),
        bad("string with low surrogate alone", r#""\ude00""#),
        bad("string with two high surrogates", r#""\ud83d\ud83d""#),
        bad(
            "string with surrogate and what is none",
            r#""\ud83d\ue000""#,
        ),
        bad("string with surrogate and letter", r#""\ud83dx""#),
        bad("string in single quotes", "'x'"),
        bad("number with leading zero", "01"),
        bad("number with plus sign", "+1"),
        bad("number with bare point", "1."),
        bad("number without digits", "-"),
        bad("number with bare fraction", ".5"),
        bad("number with bare exponent", "1e"),
        bad("number in hexadecimal", "0x10"),
        bad("number with separator", "1_000"),
        bad("Infinity", "Infinity"),
        bad("word in capitals", "True"),
        bad("word too long", "nullx"),
        bad("word too short", "tru"),
        bad("array not closed", "[1"),
        bad("array with trailing comma", "[1,]"),
        bad("array closed as object", "[1}"),
        bad("name without quotes", "{a:1}"),
        bad("name a number", "{1:1}"),
        bad("undefined", "undefined"),
        bad("nothing", ""),
    ]
}
