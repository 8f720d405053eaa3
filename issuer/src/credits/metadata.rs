//! What a program may add to a charge.

use serde_json::{Map, Number, Value};

use super::canonical_json::canonical;

/// A JSON object small and plain enough to keep for ever and to give back unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata(Value);

impl Metadata {
    /// Checks depth, size and the range of numbers.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn parse(members: Map<String, Value>) -> Result<Self, MetadataError> {
        let value = Value::Object(members);
        check(&value, MAX_DEPTH)?;
        if canonical(&value).len() > MAX_BYTES {
            return Err(MetadataError::TooLarge);
        }
        Ok(Self(value))
    }

    /// The object.
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

/// What is wrong with metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataError {
    /// Nested too deeply.
    TooDeep,
    /// Too long.
    TooLarge,
    /// A number that some reader would change.
    NumberOutOfRange,
}

impl MetadataError {
    /// What would be right.
    pub fn expectation(self) -> &'static str {
        match self {
            Self::TooDeep => "must not be nested more than 8 levels deep",
            Self::TooLarge => "must not be longer than 4096 bytes",
            Self::NumberOutOfRange => {
                "must hold only numbers that are 0 or from 10^-12 to 2^53 - 1 in magnitude"
            }
        }
    }
}

fn check(value: &Value, levels_left: usize) -> Result<(), MetadataError> {
    match value {
        Value::Array(_) | Value::Object(_) if levels_left == 0 => Err(MetadataError::TooDeep),
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| check(item, levels_left - 1)),
        Value::Object(members) => members
            .values()
            .try_for_each(|member| check(member, levels_left - 1)),
        Value::Number(number) if !is_exact(number) => Err(MetadataError::NumberOutOfRange),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// Whole numbers that a double holds exactly, and fractions whose decimal form stays short.
fn is_exact(number: &Number) -> bool {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.unsigned_abs() <= MAX_WHOLE,
        (None, Some(double)) => double == 0.0 || (SMALLEST..=LARGEST).contains(&double.abs()),
        (None, None) => false,
    }
}

/// Deeper structures are data of the program and belong in its own store.
const MAX_DEPTH: usize = 8;
/// Two hundred of these on a page stay below a megabyte.
const MAX_BYTES: usize = 4096;
/// The largest whole number that every JSON reader keeps exact (RFC 8259 section 6).
const MAX_WHOLE: u64 = (1 << 53) - 1;
const LARGEST: f64 = 9_007_199_254_740_991.0;
/// Smaller ones would be stored as long rows of zeros.
const SMALLEST: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Metadata, MetadataError> {
        match serde_json::from_str(text).unwrap() {
            Value::Object(members) => Metadata::parse(members),
            other => panic!("{other} is not an object"),
        }
    }

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&nested(8)).is_ok());
        assert_eq!(parse(&nested(9)), Err(MetadataError::TooDeep));
        assert_eq!(
            parse(r#"{"a":[[[[[[[[]]]]]]]]}"#),
            Err(MetadataError::TooDeep)
        );
    }

    #[test]
    fn size_is_bounded_in_canonical_form() {
        let fits = format!(r#"{{  "a"  :  "{}"}}"#, "x".repeat(4096 - 8));
        assert!(parse(&fits).is_ok());
        assert_eq!(
            parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(4096 - 7))),
            Err(MetadataError::TooLarge)
        );
    }

    #[test]
    fn numbers_that_a_reader_would_change_are_refused() {
        for good in [
            "0",
            "-0.0",
            "1.5",
            "9007199254740991",
            "-9007199254740991",
            "0.000000000001",
        ] {
            assert!(parse(&format!(r#"{{"n":{good}}}"#)).is_ok(), "{good}");
        }
        for bad in [
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551615",
            "1e300",
            "1e-13",
        ] {
            let found = parse(&format!(r#"{{"n":[{bad}]}}"#));
            assert_eq!(found, Err(MetadataError::NumberOutOfRange), "{bad}");
        }
    }
}
