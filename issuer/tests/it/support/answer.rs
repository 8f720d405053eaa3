//! An answer, and what tests demand of one.

use poem::http::HeaderMap;
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is empty or something else.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// Demands a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Demands a well-formed problem document with this status and code (RFC 9457).
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.body["code"], code, "{}", answer.text);
        assert_eq!(answer.body["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(
                answer.body[member].is_string(),
                "{member} is missing: {}",
                answer.text
            );
        }
        answer
    }

    /// Demands `validation_failed` naming exactly these fields.
    #[track_caller]
    pub fn expect_invalid(self, fields: &[&str]) -> Self {
        let answer = self.expect_problem(422, "validation_failed");
        let mut named: Vec<&str> = answer.body["errors"]
            .as_array()
            .expect("errors are listed")
            .iter()
            .map(|error| error["field"].as_str().expect("a field"))
            .collect();
        named.sort_unstable();
        assert_eq!(named, fields, "{}", answer.text);
        answer
    }

    /// A header as text; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// A string member of the body.
    #[track_caller]
    pub fn string(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} is missing: {}", self.text))
            .to_owned()
    }
}
