//! Headers, all rightly signed.

use super::{Case, accepted, case, with_header};
use crate::forge::{KID, X, claims, encode, header, jwk, quoted, signed};

pub fn cases() -> Vec<Case> {
    [json(), algorithms(), critical(), types(), key_ids()]
        .into_iter()
        .flatten()
        .collect()
}

fn json() -> Vec<Case> {
    let good = header().json();
    let bad = |name, header: String| case(name, signed(header, claims().json()), "malformed");
    let bytes = |name, header: &[u8]| case(name, signed(header, claims().json()), "malformed");
    vec![
        bad("header empty text", String::new()),
        bad("header not JSON", "EdDSA".into()),
        bad("header an array", format!("[{good}]")),
        bad("header a string", r#""EdDSA""#.into()),
        bad("header null", "null".into()),
        bad("header with text behind", format!("{good}x")),
        bad("header with an object behind", format!("{good}{{}}")),
        bad("header cut off", good[..good.len() - 1].into()),
        bad("header with trailing comma", good.replace('}', ",}")),
        bad("header with comment", format!("/**/{good}")),
        bad("header in single quotes", good.replace('"', "'")),
        bad("header with byte order mark", format!("\u{feff}{good}")),
        bytes(
            "header in UTF-16",
            &good
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
        ),
        bytes(
            "header with bad UTF-8",
            b"{\"alg\":\"EdDSA\",\"x\":\"\xff\"}",
        ),
        bytes(
            "header with overlong UTF-8",
            b"{\"alg\":\"EdDSA\",\"x\":\"\xc0\xaf\"}",
        ),
        bytes(
            "header with surrogates in UTF-8",
            b"{\"alg\":\"EdDSA\",\"x\":\"\xed\xa0\x80\"}",
        ),
        bad("alg twice", header().also("alg", r#""EdDSA""#).json()),
        bad(
            "alg twice, none last",
            header().also("alg", r#""none""#).json(),
        ),
        bad(
            "alg twice, once escaped",
            header().also(r"\u0061lg", r#""none""#).json(),
        ),
        bad("kid twice", header().also("kid", quoted(KID)).json()),
        bad(
            "unknown member twice",
            header().with("n", 1).also("n", 1).json(),
        ),
        bad(
            "member twice in an inner object",
            header().with("n", r#"{"a":1,"a":1}"#).json(),
        ),
        bad("header of nine levels", accepted::nested(&good, 8)),
        bad("header of 129 members", accepted::many_members(&good, 126)),
        bad(
            "header with a tab in a string",
            header().with("n", "\"\t\"").json(),
        ),
        bad(
            "header with half a surrogate pair",
            header().with("n", r#""\ud800""#).json(),
        ),
        bad(
            "header with swapped surrogates",
            header().with("n", r#""\ude00\ud83d""#).json(),
        ),
        bad(
            "header with unknown escape",
            header().with("n", r#""\x41""#).json(),
        ),
        bad("header with leading zero", header().with("n", "01").json()),
        bad("header with NaN", header().with("n", "NaN").json()),
    ]
}

fn algorithms() -> Vec<Case> {
    let alg =
        |name, json: &str| with_header(name, &header().with("alg", json), "unsupported_algorithm");
    let unsigned = |name: &str, json: &str| {
        let text = format!(
            "{}.{}.",
            encode(header().with("alg", json).json()),
            encode(claims().json())
        );
        case(name, text, "unsupported_algorithm")
    };
    vec![
        unsigned("RFC 8725 2.1, wycheproof jws 16: alg none", r#""none""#),
        unsigned("alg None", r#""None""#),
        unsigned("alg NONE", r#""NONE""#),
        unsigned("alg nOnE", r#""nOnE""#),
        alg("alg none, signed", r#""none""#),
        alg("alg empty", r#""""#),
        alg("alg null", "null"),
        alg("alg a number", "1"),
        alg("alg an array", r#"["EdDSA"]"#),
        alg("alg an object", "{}"),
        alg("alg true", "true"),
        with_header(
            "alg absent",
            &header().without("alg"),
            "unsupported_algorithm",
        ),
        alg("alg in lower case", r#""eddsa""#),
        alg("alg in capitals", r#""EDDSA""#),
        alg("alg with space", r#""EdDSA ""#),
        alg("alg with NUL", r#""EdDSA\u0000""#),
        alg("alg Ed25519ph", r#""Ed25519ph""#),
        alg("alg Ed448", r#""Ed448""#),
        alg("RFC 8725 2.1: alg HS256", r#""HS256""#),
        alg("alg RS256", r#""RS256""#),
        alg("alg ES256", r#""ES256""#),
        alg("alg PS512", r#""PS512""#),
        alg("alg ML-DSA-44", r#""ML-DSA-44""#),
        alg("alg dir", r#""dir""#),
    ]
}

fn critical() -> Vec<Case> {
    let bad = |name, member, json: &str| {
        with_header(name, &header().with(member, json), "critical_header")
    };
    let b64 = header().with("b64", "false").with("crit", r#"["b64"]"#);
    let url = r#""https://attacker.example/keys""#;
    vec![
        bad("crit empty", "crit", "[]"),
        bad("crit exp", "crit", r#"["exp"]"#),
        bad("crit unknown", "crit", r#"["http://example.com/x"]"#),
        bad("crit null", "crit", "null"),
        bad("crit a string", "crit", r#""exp""#),
        bad("crit an object", "crit", "{}"),
        with_header("RFC 7797: b64 false and crit", &b64, "critical_header"),
        bad("RFC 8725 2.10: jku", "jku", url),
        bad("jku null", "jku", "null"),
        bad("x5u", "x5u", url),
        bad("x5c", "x5c", r#"["AAAA"]"#),
        bad(
            "wycheproof jws 32: embedded jwk of the attacker",
            "jwk",
            &crate::forge::other_jwk().json(),
        ),
        bad("embedded jwk of the issuer", "jwk", &jwk().json()),
        with_header(
            "crit escaped",
            &header().with(r"cr\u0069t", "[]"),
            "critical_header",
        ),
    ]
}

fn types() -> Vec<Case> {
    let typ = |name, json: &str| with_header(name, &header().with("typ", json), "unsupported_type");
    vec![
        with_header(
            "RFC 8725 3.11: typ absent",
            &header().without("typ"),
            "unsupported_type",
        ),
        typ("RFC 8725 3.11: typ JWT", r#""JWT""#),
        typ("typ jwt", r#""jwt""#),
        typ("typ application/jwt", r#""application/jwt""#),
        typ("typ empty", r#""""#),
        typ("typ null", "null"),
        typ("typ a number", "1"),
        typ("typ an array", r#"["at+jwt"]"#),
        typ("typ with space", r#""at+jwt ""#),
        typ("typ with parameter", r#""at+jwt;v=1""#),
        typ("typ of a revocation document", r#""revocations+jwt""#),
        typ("typ of an edge assertion", r#""edge-assertion+jwt""#),
        typ("typ of a logout token", r#""logout+jwt""#),
        typ(
            "typ with application/ twice",
            r#""application/application/at+jwt""#,
        ),
        typ(
            "typ with application but no slash",
            r#""applicationat+jwt""#,
        ),
        typ("typ with another prefix", r#""text/at+jwt""#),
        typ("typ outside ASCII", "\"applicatio\u{f1}/at+jwt\""),
        typ(
            "typ with dotless i in prefix",
            "\"appl\u{131}cation/at+jwt\"",
        ),
    ]
}

fn key_ids() -> Vec<Case> {
    let missing = |name, kid: &str| with_header(name, &header().with("kid", kid), "missing_key_id");
    let text = |name, kid: &str| missing(name, &quoted(kid));
    let unknown =
        |name, kid: &str| with_header(name, &header().with("kid", quoted(kid)), "unknown_key");
    vec![
        with_header("kid absent", &header().without("kid"), "missing_key_id"),
        missing("kid null", "null"),
        missing("kid a number", "1"),
        missing("kid an array", &format!("[{}]", quoted(KID))),
        text("kid empty", ""),
        text("kid of 42 characters", &KID[..42]),
        text("kid of 44 characters", &format!("{KID}A")),
        text("kid with plus sign", &format!("+{}", &KID[1..])),
        text("kid with padding", &format!("{}=", &KID[..42])),
        text("kid with space", &format!(" {}", &KID[1..])),
        text(
            "kid of 43 bytes outside ASCII",
            &format!("{}\u{e9}", &KID[..41]),
        ),
        text("kid a path", "../../../../../../../../../../dev/null/xxxxx"),
        text("kid a query", "' or '1'='1"),
        text("kid a URL", "https://attacker.example/keys.json?xxxxxxxxx"),
        unknown("kid of nobody", &"A".repeat(43)),
        unknown("kid in other case", &KID.to_ascii_lowercase()),
        unknown("kid is the key itself", X),
    ]
}
