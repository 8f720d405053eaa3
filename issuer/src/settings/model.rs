//! Settings, without any input or output.

use serde_json::{Map, Value};

/// What a user has set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Raised by every change; 0 before the first.
    pub version: i64,
    /// For everywhere.
    pub global: Value,
    /// For each app, by its id.
    pub apps: Value,
}

/// The app that settings are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppId(String);

impl AppId {
    /// The form of ids of registered apps: settings of an app may be there before the app is.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_APP_ID_BYTES).contains(&text.len());
        let mut bytes = text.bytes();
        let begins = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let goes_on = bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (fits && begins && goes_on).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Members to replace, or, where null, to remove.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch(Value);

impl Patch {
    /// `None` when it is nested too deeply.
    pub fn parse(members: Map<String, Value>) -> Option<Self> {
        let value = Value::Object(members);
        fits(&value, MAX_DEPTH).then_some(Self(value))
    }

    /// The object.
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

fn fits(value: &Value, levels_left: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels_left == 0 => false,
        Value::Array(items) => items.iter().all(|item| fits(item, levels_left - 1)),
        Value::Object(members) => members.values().all(|item| fits(item, levels_left - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// As `auth.apps` demands it.
const MAX_APP_ID_BYTES: usize = 64;
/// Deeper structures are data of the program and belong in its own store.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_ids_have_the_form_of_registered_apps() {
        for good in ["a", "9", "my-app_2.beta", &"a".repeat(64)] {
            assert!(AppId::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "-a",
            ".a",
            "_a",
            "a b",
            "a/b",
            "ä",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(AppId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_patch_is_at_most_eight_levels_deep() {
        let nested = |depth: usize| {
            let inner = (2..depth).fold(Value::Bool(true), |value, _| serde_json::json!([value]));
            Map::from_iter([("a".to_owned(), serde_json::json!({ "b": inner }))])
        };
        assert!(Patch::parse(nested(8)).is_some());
        assert!(Patch::parse(nested(9)).is_none());
        assert!(Patch::parse(Map::new()).is_some());
    }
}
