//! JSON in the one form of RFC 8785, so that equal requests have equal fingerprints whatever
//! order and spelling their client chose.

use serde_json::{Number, Value};

/// Writes the canonical form.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number_text(number)),
        Value::String(value) => write_string(value, text),
        Value::Array(items) => write_list(text, ('[', ']'), items, write),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // Section 3.2.3: by UTF-16 code units, which differs from the order of code points.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            write_list(text, ('{', '}'), members, |(name, member), text| {
                write_string(name, text);
                text.push(':');
                write(member, text);
            });
        }
    }
}

fn write_list<T>(
    text: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(T, &mut String),
) {
    text.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        write_item(item, text);
    }
    text.push(close);
}

/// Section 3.2.2.2: the escapes of ECMAScript, which `serde_json` writes too.
fn write_string(value: &str, text: &mut String) {
    text.push_str(&serde_json::to_string(value).expect("a string is always JSON"));
}

/// Section 3.2.2.3: as ECMAScript writes a double.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(double) if number.is_f64() => double_text(double),
        _ => number.to_string(),
    }
}

/// ECMA-262, `Number::toString`: the shortest digits that read back as the same number.
fn double_text(double: f64) -> String {
    if double == 0.0 {
        return "0".into();
    }
    let shortest = format!("{:e}", double.abs());
    let (mantissa, exponent) = shortest
        .split_once('e')
        .expect("the format has an exponent");
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let sign = if double < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, exponent))
}

fn place_point(digits: &str, exponent: i32) -> String {
    // Where the point stands, counted in digits from the left.
    let point = exponent + 1;
    let n_digits = i32::try_from(digits.len()).expect("a double has at most 17 digits");
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if n_digits <= point && point <= 21 {
        format!("{digits}{}", zeros(point - n_digits))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{first}{dot}{rest}e{exponent:+}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_by_utf16_code_units() {
        // RFC 8785, section 3.2.3: the example of the sorting.
        let value = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let text = canonical(&value);
        let places: Vec<_> = [
            "Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew",
        ]
        .iter()
        .map(|word| text.find(word).unwrap())
        .collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn strings_are_escaped_as_ecmascript_does() {
        let value = json!("\u{20ac}$\u{0f}\nA'B\"\\/\u{7f}");
        assert_eq!(
            canonical(&value),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\/\u{7f}\""
        );
    }

    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        // RFC 8785, appendix B, as far as JSON can express them, and the borders of each form.
        for (number, expected) in [
            ("0.0", "0"),
            ("-0.0", "0"),
            ("5e-324", "5e-324"),
            ("-5e-324", "-5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740992.0", "9007199254740992"),
            ("295147905179352830000.0", "295147905179352830000"),
            ("9.999999999999997e22", "9.999999999999997e+22"),
            ("1e23", "1e+23"),
            ("1e21", "1e+21"),
            ("100000000000000000000.0", "100000000000000000000"),
            ("333333333.33333329", "333333333.3333333"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("123e-9", "1.23e-7"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
            ("1.0", "1"),
            ("-12", "-12"),
            ("18014398509481984", "18014398509481984"),
        ] {
            let value: Value = serde_json::from_str(number).unwrap();
            assert_eq!(canonical(&value), expected, "{number}");
        }
    }

    #[test]
    fn nesting_and_literals_carry_no_space() {
        let value = json!({"b": [1, true, null, {"z": "", "a": []}], "a": false});
        assert_eq!(
            canonical(&value),
            r#"{"a":false,"b":[1,true,null,{"a":[],"z":""}]}"#
        );
    }
}
