//! A small strict JSON reader.
//!
//! It exists because a general one costs 20 KB of WebAssembly and still lets two members
//! share a name, of which different readers then believe different ones (RFC 8725 §2.6
//! and RFC 8259 §4). Strings are borrowed unless they contain an escape; numbers keep
//! their text, so that nothing is rounded before a rule has seen it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_MEMBERS};

/// Any JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// The members of an object, in the order of the text, no two of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// The object `text` consists of; `None` when it is anything else.
pub(crate) fn parse_object(text: &str) -> Option<Object<'_>> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    let object = reader.object(MAX_JSON_DEPTH)?;
    reader.skip_space();
    (reader.at == text.len()).then_some(object)
}

impl<'a> Object<'a> {
    /// The value of the member called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

impl<'a> Value<'a> {
    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    pub(crate) fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members of an object.
    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// A whole number of at most `MAX_INTEGER_DIGITS` digits, written as nothing but digits.
    pub(crate) fn as_integer(&self) -> Option<u64> {
        match self {
            Self::Number(text) if text.len() <= MAX_INTEGER_DIGITS => text.parse().ok(),
            _ => None,
        }
    }
}

/// Appends `text` as a JSON string.
#[cfg(feature = "sign")]
pub(crate) fn write_string(text: &str, out: &mut String) {
    use core::fmt::Write;

    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// `depth` is how many levels of objects and arrays may still open.
    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        match self.peek()? {
            b'{' => self.object(depth).map(Value::Object),
            b'[' => self.array(depth).map(Value::Array),
            b'"' => self.string().map(Value::String),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Object<'a>> {
        let depth = depth.checked_sub(1)?;
        let mut members: Vec<(Cow<'a, str>, Value<'a>)> = Vec::new();
        self.elements(b'{', b'}', |reader| {
            let name = reader.string()?;
            reader.skip_space();
            if !reader.eat(b':') || members.len() == MAX_JSON_MEMBERS {
                return None;
            }
            reader.skip_space();
            let value = reader.value(depth)?;
            if members.iter().any(|(other, _)| *other == name) {
                return None;
            }
            members.push((name, value));
            Some(())
        })?;
        Some(Object(members))
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Value<'a>>> {
        let depth = depth.checked_sub(1)?;
        let mut values = Vec::new();
        self.elements(b'[', b']', |reader| {
            values.push(reader.value(depth)?);
            Some(())
        })?;
        Some(values)
    }

    /// Reads what stands between `open` and `close`, separated by commas.
    fn elements(
        &mut self,
        open: u8,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        if !self.eat(open) {
            return None;
        }
        self.skip_space();
        if self.eat(close) {
            return Some(());
        }
        loop {
            element(self)?;
            self.skip_space();
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(b',') {
                return None;
            }
            self.skip_space();
        }
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        let rest = self.text.get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word).then_some(value)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.eat(b'"') {
            return None;
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                0..b' ' => return None,
                _ => self.at += 1,
            }
        }
        let raw = self.text.get(start..self.at)?;
        self.at += 1;
        if escaped {
            unescape(raw).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(raw))
        }
    }

    /// RFC 8259 §6.
    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at)
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// Resolves the escapes of RFC 8259 §7. A surrogate that is not half of a pair has no
/// meaning in UTF-8 and is refused.
fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at)?);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        out.push(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => code_point(&mut rest)?,
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(out)
}

/// Reads what follows `\u`, both halves of a surrogate pair if it is one.
fn code_point(rest: &mut &str) -> Option<char> {
    let high = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    *rest = rest.strip_prefix("\\u")?;
    let low = hex4(rest)?.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)
}

fn hex4(rest: &mut &str) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    digits
        .chars()
        .try_fold(0, |value, digit| Some(value << 4 | digit.to_digit(16)?))
}

/// `NumericDate` is `[0-9]{1,12}`: until the year 33658 and exact in every number type.
const MAX_INTEGER_DIGITS: usize = 12;

/// This reader against a general one.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz {
    use alloc::format;

    use super::{Cow, MAX_JSON_DEPTH, MAX_JSON_MEMBERS, String, Value, Vec, parse_object};
    use crate::fuzz::Tally;
    use crate::random::Random;

    /// Texts out of fragments and mutations of them: whatever is accepted here a lenient reader
    /// accepts too, and reads the same. What it accepts and this one does not has a name twice or
    /// is beyond a bound.
    pub(crate) fn texts(seed: u64, n_cases: usize) -> Result<Tally, String> {
        let mut random = Random::new(seed);
        let mut tally = Tally::default();
        while tally.n_cases < n_cases {
            let mut text = String::from("{");
            let depth = 2 + random.below(8);
            random_members(&mut random, depth, &mut text);
            text.push('}');
            let text = mutated(&mut random, &text);
            let ours = parse_object(&text).map(Value::Object);
            let other: Result<serde_json::Value, _> = serde_json::from_str(&text);
            let agrees = match (&ours, &other) {
                (Some(ours), Ok(other)) => means_the_same(ours, other),
                (Some(_), Err(_)) => false,
                (None, Ok(other)) => !other.is_object() || is_stricter(&text, other),
                (None, Err(_)) => true,
            };
            if !agrees {
                return Err(format!("{text:?}: {ours:?}, and {other:?}"));
            }
            tally.count(ours.is_some());
        }
        Ok(tally)
    }

    /// Whether one of our own rules refuses it: members get lost when names are repeated, and
    /// what is written anew then is shorter than what was there.
    fn is_stricter(text: &str, other: &serde_json::Value) -> bool {
        let (depth, n_members) = measures(other);
        let n_written = names_in(text);
        depth > MAX_JSON_DEPTH || n_members > MAX_JSON_MEMBERS || n_members < n_written
    }

    /// The depth, and how many members there are in all.
    fn measures(value: &serde_json::Value) -> (usize, usize) {
        use serde_json::Value as Other;
        let inner: Vec<_> = match value {
            Other::Array(values) => values.iter().map(measures).collect(),
            Other::Object(members) => members.values().map(measures).collect(),
            _ => return (0, 0),
        };
        let own = value.as_object().map_or(0, serde_json::Map::len);
        let depth = inner.iter().map(|(depth, _)| *depth).max();
        let n_members: usize = inner.iter().map(|(_, n)| n).sum();
        (1 + depth.unwrap_or(0), own + n_members)
    }

    /// The number of colons outside of strings.
    fn names_in(text: &str) -> usize {
        let (mut in_string, mut escaped, mut n_names) = (false, false, 0);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_string,
                b'"' => in_string = !in_string,
                b':' if !in_string => n_names += 1,
                _ => {}
            }
        }
        n_names
    }

    /// In half of the cases drops, doubles or replaces one character.
    fn mutated(random: &mut Random, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = random.below(chars.len());
        match random.below(6) {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, chars[at]),
            2 => chars[at] = char::from(random.byte()),
            _ => {}
        }
        chars.into_iter().collect()
    }

    fn random_members(random: &mut Random, depth: usize, out: &mut String) {
        for i in 0..random.below(5) {
            out.push_str(if i == 0 { "" } else { "," });
            let name = random.pick(&["a", "b", "c", "", r"\u0061", r"\n", "é", "abc"]);
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            random_value(random, depth, out);
        }
    }

    fn random_value(random: &mut Random, depth: usize, out: &mut String) {
        match random.below(if depth == 0 { 8 } else { 10 }) {
            8 => {
                out.push('[');
                random_value(random, depth - 1, out);
                out.push_str(" ,\t");
                random_value(random, depth - 1, out);
                out.push(']');
            }
            9 => {
                out.push('{');
                random_members(random, depth - 1, out);
                out.push('}');
            }
            _ => out.push_str(random.pick(&LEAVES)),
        }
    }

    const LEAVES: [&str; 17] = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12",
        "-1.5e3",
        "1E+2",
        "0.25",
        "\"\"",
        "\"x\"",
        r#""\ud83d\ude00""#,
        r#""\\\"\/\b\f\n\r\t""#,
        "\"\u{1f600}\"",
        "[]",
        "{}",
        " 1 ",
    ];

    fn means_the_same(ours: &Value<'_>, other: &serde_json::Value) -> bool {
        use serde_json::Value as Other;
        match (ours, other) {
            (Value::Null, Other::Null) => true,
            (Value::Bool(a), Other::Bool(b)) => a == b,
            (Value::Number(text), Other::Number(_)) => {
                serde_json::from_str(text).ok().as_ref() == Some(other)
            }
            (Value::String(a), Other::String(b)) => a == b,
            (Value::Array(a), Other::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| means_the_same(a, b))
            }
            (Value::Object(a), Other::Object(b)) => {
                let same = |(name, value): &(Cow<'_, str>, Value<'_>)| {
                    b.get(&**name)
                        .is_some_and(|other| means_the_same(value, other))
                };
                a.0.len() == b.len() && a.0.iter().all(same)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;

    #[test]
    fn values_of_every_kind_are_read() {
        let text = r#" { "a" : null, "b":[true,false,[]],"c":-1.50e+3,"d":"x","e":{}} "#;
        let object = parse_object(text).expect("it is well-formed");
        assert_eq!(object.get("a"), Some(&Value::Null));
        let booleans = vec![Value::Bool(true), Value::Bool(false), Value::Array(vec![])];
        assert_eq!(object.get("b"), Some(&Value::Array(booleans)));
        assert_eq!(object.get("c"), Some(&Value::Number("-1.50e+3")));
        assert_eq!(object.get("d").and_then(Value::as_str), Some("x"));
        assert_eq!(object.get("e"), Some(&Value::Object(Object(vec![]))));
        assert_eq!(object.get("f"), None);
    }

    #[test]
    fn strings_are_borrowed_unless_escaped() {
        let object = parse_object(r#"{"a":"é","\u0062":"\u00e9"}"#).expect("it is well-formed");
        assert!(matches!(
            object.get("a"),
            Some(Value::String(Cow::Borrowed("é")))
        ));
        assert!(matches!(object.get("b"), Some(Value::String(Cow::Owned(text))) if text == "é"));
    }

    #[test]
    fn integers_are_one_to_twelve_digits() {
        assert_eq!(
            Value::Number("999999999999").as_integer(),
            Some(999_999_999_999)
        );
        assert_eq!(Value::Number("0").as_integer(), Some(0));
        for text in ["1000000000000", "-1", "-0", "1.0", "1e3", "1E3"] {
            assert_eq!(Value::Number(text).as_integer(), None, "{text}");
        }
        assert_eq!(Value::String("1".into()).as_integer(), None);
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(parse_object(&deep(MAX_JSON_DEPTH)).is_some());
        assert!(parse_object(&deep(MAX_JSON_DEPTH + 1)).is_none());
        assert!(parse_object(&"{\"a\":".repeat(1_000_000)).is_none());
        let wide = |n: usize| {
            let members: Vec<_> = (0..n).map(|i| format!("\"{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(parse_object(&wide(MAX_JSON_MEMBERS)).is_some());
        assert!(parse_object(&wide(MAX_JSON_MEMBERS + 1)).is_none());
    }

    #[test]
    fn written_strings_are_read_back() {
        for text in [
            "",
            "a\"b\\c/",
            "\u{0}\u{1f}\u{7f}\n",
            "é\u{2028}\u{1f600}\u{feff}",
        ] {
            let mut json = String::from("{\"a\":");
            write_string(text, &mut json);
            json.push('}');
            let object = parse_object(&json).expect("it is well-formed");
            assert_eq!(object.get("a").and_then(Value::as_str), Some(text));
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn accepted_texts_mean_the_same_to_another_reader() {
        let tally = fuzz::texts(1, 50_000).expect("no difference");
        assert!(tally.n_accepted > 10_000, "{tally:?}");
    }
}
