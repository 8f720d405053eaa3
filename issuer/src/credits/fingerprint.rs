//! What a request asked for, in 32 bytes.

use serde_json::{Value, json};

use super::canonical_json::canonical;
use crate::secret::sha256;

/// SHA-256 of operation, path and every field: the same idempotency key with another one is an
/// error, never an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Fields that were left out are null in `fields` and count as absent, so that a field
    /// added to the API later does not change old fingerprints.
    pub fn of(operation: &str, path: &str, fields: &[(&str, Value)]) -> Self {
        let fields: serde_json::Map<String, Value> = fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let request = json!({"fields": fields, "operation": operation, "path": path});
        Self(sha256(canonical(&request).as_bytes()))
    }

    /// The bytes, as they are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let base = Fingerprint::of(
            "use",
            "/use",
            &[("amount", json!(5)), ("note", Value::Null)],
        );
        assert_eq!(
            base,
            Fingerprint::of("use", "/use", &[("amount", json!(5))])
        );
        for other in [
            Fingerprint::of("hold", "/use", &[("amount", json!(5))]),
            Fingerprint::of("use", "/holds", &[("amount", json!(5))]),
            Fingerprint::of("use", "/use", &[("amount", json!(6))]),
            Fingerprint::of("use", "/use", &[("amount", json!(5)), ("note", json!(""))]),
        ] {
            assert_ne!(base, other);
        }
    }
}
