//! Which methods each path takes, for the `Allow` header (RFC 9110 section 15.5.6).

use poem::http::HeaderValue;
use serde_json::Value;

/// Paths of the specification with their methods.
#[derive(Debug, Default)]
pub struct Methods {
    paths: Vec<(Vec<String>, String)>,
}

impl Methods {
    /// Reads them from the OpenAPI document.
    pub fn from_spec(spec: &Value) -> Self {
        let paths = spec["paths"].as_object().into_iter().flatten();
        Self {
            paths: paths
                .map(|(path, item)| {
                    let methods = item
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(method, _)| method.to_uppercase());
                    (
                        segments(path).map(str::to_owned).collect(),
                        methods.collect::<Vec<_>>().join(", "),
                    )
                })
                .collect(),
        }
    }

    /// The value of `Allow` for a path.
    pub fn of(&self, path: &str) -> HeaderValue {
        let wanted: Vec<&str> = segments(path).collect();
        let methods = self
            .paths
            .iter()
            .find(|(pattern, _)| matches(pattern, &wanted))
            .map(|(_, methods)| methods);
        methods
            .and_then(|methods| HeaderValue::from_str(methods).ok())
            .unwrap_or(HeaderValue::from_static("GET"))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(path)
            .all(|(pattern, segment)| pattern.starts_with('{') || pattern == segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_lists_the_methods_of_the_matching_path() {
        let spec = serde_json::json!({"paths": {"/a": {"get": {}, "post": {}}, "/a/{id}": {"delete": {}}}});
        let methods = Methods::from_spec(&spec);
        assert_eq!(methods.of("/a"), "GET, POST");
        assert_eq!(methods.of("/a/7"), "DELETE");
    }
}
