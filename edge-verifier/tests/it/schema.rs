//! `edge.schema.json` against the reader: editors must not be told anything else than the tool tells.

use edge_verifier::config::Problem;
use edge_verifier::config::check::check;
use serde_json::{Map, Value};

fn schema() -> Value {
    let text = include_str!("../../edge.schema.json");
    serde_json::from_str(text).expect("the schema is JSON")
}

/// A table of the file: where its properties stand in the schema, and how it is written in TOML
/// around keys of its own.
struct Place {
    pointer: &'static str,
    /// What the reader calls it.
    name: &'static str,
    before: &'static str,
    after: &'static str,
}

const ROUTE: &str = "[[route]]\nid = \"a\"\npath = \"/a/b\"\nbackend = { service = \"B\" }\n";
const PLACES: [Place; 10] = [
    Place {
        pointer: "",
        name: "the file",
        before: "",
        after: "",
    },
    Place {
        pointer: "/properties/issuer",
        name: "[issuer]",
        before: "[issuer]\n",
        after: "",
    },
    Place {
        pointer: "/properties/issuer/properties/jwks",
        name: "jwks of [issuer]",
        before: "[issuer]\njwks = { ",
        after: " }",
    },
    Place {
        pointer: "/properties/edge",
        name: "[edge]",
        before: "[edge]\n",
        after: "",
    },
    Place {
        pointer: "/properties/defaults",
        name: "[defaults]",
        before: "[defaults]\n",
        after: "",
    },
    Place {
        pointer: "/properties/route/items",
        name: "[[route]] number 1",
        before: "[[route]]\n",
        after: "",
    },
    Place {
        pointer: "/properties/route/items/properties/revocation",
        name: "revocation of [[route]] number 1",
        before: "[[route]]\nrevocation = { ",
        after: " }",
    },
    Place {
        pointer: "/properties/route/items/properties/cors",
        name: "cors of [[route]] number 1",
        before: "[[route]]\ncors = { ",
        after: " }",
    },
    Place {
        pointer: "/properties/route/items/properties/limits",
        name: "limits of [[route]] number 1",
        before: "[[route]]\nlimits = { ",
        after: " }",
    },
    Place {
        pointer: "/properties/route/items/properties/backend",
        name: "backend of [[route]] number 1",
        before: "[[route]]\nbackend = { ",
        after: " }",
    },
];

impl Place {
    fn properties(&self, schema: &Value) -> Map<String, Value> {
        let table = schema.pointer(self.pointer).expect("it is in the schema");
        assert_eq!(table["additionalProperties"], false, "{}", self.name);
        table["properties"].as_object().expect("an object").clone()
    }

    /// What the reader says of this table with one key in it.
    fn problems(&self, key: &str, value: &str) -> Vec<Problem> {
        let text = format!("{}{key} = {value}{}\n{ROUTE}", self.before, self.after);
        check(&text).expect_err("much is missing beside")
    }

    /// Whether the reader finds this value of the key wrong: of another type, out of range, or
    /// none of its words.
    fn refuses(&self, key: &str, value: &str) -> bool {
        let named = format!("`{key}`");
        let says = ["is of type", "is out of range", "cannot be", "is empty"];
        self.problems(key, value).iter().any(|problem| {
            let what = &problem.what;
            what.contains(&named) && says.iter().any(|words| what.contains(words))
        })
    }
}

#[test]
fn the_schema_knows_exactly_the_keys_that_the_reader_knows() {
    for place in &PLACES {
        let unknown = format!("unknown key `zzzzzzzzzzzz` in {}", place.name);
        let problems = place.problems("zzzzzzzzzzzz", "1");
        let problem = problems.iter().find(|problem| problem.what == unknown);
        let problem = problem.unwrap_or_else(|| panic!("{unknown}: {problems:#?}"));
        let known = problem.remedy.split_once("known here: ").expect("a list").1;
        let mut known: Vec<&str> = known.split(", ").collect();
        // It is read there only to say that it does not belong there.
        known.retain(|key| place.name != "[defaults]" || *key != "reason");
        known.sort_unstable();
        let properties = place.properties(&schema());
        let mut listed: Vec<&str> = properties.keys().map(String::as_str).collect();
        listed.sort_unstable();
        assert_eq!(listed, known, "{}", place.name);
    }
}

#[test]
fn every_key_is_explained() {
    for place in &PLACES {
        for (key, property) in place.properties(&schema()) {
            let words = property["description"].as_str().unwrap_or("");
            assert!(words.len() > 10, "{key} of {}", place.name);
        }
    }
}

#[test]
fn ranges_and_words_of_the_schema_are_those_of_the_reader() {
    let mut n_checked = 0;
    for place in &PLACES {
        for (key, property) in place.properties(&schema()) {
            let bounds = (property["minimum"].as_i64(), property["maximum"].as_i64());
            if let (Some(least), Some(most)) = bounds {
                for (value, wrong) in [
                    (least, false),
                    (most, false),
                    (least - 1, true),
                    (most + 1, true),
                ] {
                    let refused = place.refuses(&key, &value.to_string());
                    assert_eq!(refused, wrong, "{key} = {value} of {}", place.name);
                }
                n_checked += 1;
            }
            if let Some(words) = property["enum"].as_array() {
                for word in words {
                    assert!(!place.refuses(&key, &word.to_string()), "{key} = {word}");
                }
                assert!(place.refuses(&key, "\"something-else\""), "{key}");
                n_checked += 1;
            }
        }
    }
    assert!(n_checked > 15, "only {n_checked} were found");
}

#[test]
fn types_of_the_schema_are_those_of_the_reader() {
    for place in &PLACES[1..] {
        for (key, property) in place.properties(&schema()) {
            let kind = property["type"].as_str().unwrap_or("string");
            for (value, of) in [
                ("1979-05-27", "date"),
                ("[1]", "array"),
                ("true", "boolean"),
                ("{}", "object"),
                ("5", "integer"),
                ("\"text\"", "string"),
            ] {
                let problems = place.problems(&key, value);
                let wrong_type = problems.iter().any(|problem| {
                    problem.what.contains(&key) && problem.what.contains("is of type")
                });
                // A list of something else is of the wrong type as well.
                let fits = of == kind && of != "array";
                assert_eq!(
                    wrong_type, !fits,
                    "{key} = {value} of {}: {problems:#?}",
                    place.name
                );
            }
        }
    }
}

/// The defaults of a table as TOML, one line or the inside of an inline table.
fn defaults(schema: &Value, pointer: &str, between: &str) -> String {
    let properties = schema.pointer(pointer).and_then(Value::as_object);
    let with_default = |(key, property): (&String, &Value)| {
        let default = property.get("default")?;
        Some(format!("{key} = {default}"))
    };
    let lines: Vec<String> = properties
        .expect("it is in the schema")
        .iter()
        .filter_map(with_default)
        .collect();
    lines.join(between)
}

#[test]
fn defaults_of_the_schema_are_those_of_the_reader() {
    let schema = schema();
    let route = "/properties/route/items/properties";
    let rules = defaults(&schema, route, "\n");
    let revocation = defaults(&schema, &format!("{route}/revocation/properties"), ", ");
    let jwks = defaults(
        &schema,
        "/properties/issuer/properties/jwks/properties",
        ", ",
    );
    assert!(rules.contains("timeout_ms = 30000") && revocation.contains("max_age_s = 30"));
    let edge = defaults(&schema, "/properties/edge/properties", "\n");
    let issuer = "[issuer]\nurl = \"https://a.example\"\naudience = \"a\"";
    let left_out = check(&format!("{issuer}\n{ROUTE}"));
    let written = check(&format!(
        "{issuer}\njwks = {{ {jwks} }}\n[edge]\n{edge}\n{ROUTE}{rules}\nrevocation = {{ {revocation} }}"
    ));
    assert!(left_out.is_ok());
    assert_eq!(written, left_out);
}

#[test]
fn the_shipped_file_points_editors_at_the_schema() {
    let text = include_str!("../../../edge.toml");
    assert!(text.starts_with("#:schema ./edge-verifier/edge.schema.json\n"));
}
