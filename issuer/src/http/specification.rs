//! The OpenAPI document: what poem-openapi derives, completed by what it cannot say.

use std::collections::BTreeSet;

use poem_openapi::{OpenApi, OpenApiService};
use serde_json::{Map, Value, json};

/// The document, the same as it is served and committed.
pub fn document<T: OpenApi>(api: &OpenApiService<T, ()>) -> Value {
    let derived = api.spec();
    let mut spec: Value = serde_json::from_str(&derived).expect("the specification is JSON");
    // Of two APIs that share a path only the operations of the last are read.
    assert_eq!(
        operations(&spec).count(),
        derived.matches("\"operationId\"").count(),
        "a path stands in two APIs: put its operations into one"
    );
    let requests = request_schemas(&spec);
    if let Some(schemas) = spec["components"]["schemas"].as_object_mut() {
        for (name, schema) in schemas {
            let Some(schema) = schema.as_object_mut() else {
                continue;
            };
            if requests.contains(name) {
                complete_request(schema);
            } else {
                complete_answer(schema);
            }
        }
    }
    complete_parameters(&mut spec);
    complete_export(&mut spec);
    spec
}

/// The document as text.
pub fn text(spec: &Value) -> String {
    let mut text = serde_json::to_string_pretty(spec).expect("a JSON value can be written");
    text.push('\n');
    text
}

fn operations(spec: &Value) -> impl Iterator<Item = &Value> {
    let items = spec["paths"].as_object().into_iter().flat_map(Map::values);
    items.flat_map(|item| item.as_object().into_iter().flat_map(Map::values))
}

fn request_schemas(spec: &Value) -> BTreeSet<String> {
    operations(spec)
        .filter_map(|operation| {
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
        })
        .filter_map(|reference| reference.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

/// Unknown fields are refused, strings hold no U+0000, and some have a form of their own.
fn complete_request(schema: &mut Map<String, Value>) {
    schema.insert("additionalProperties".into(), json!(false));
    for (name, property) in properties(schema) {
        if property["type"] == "string" {
            property["pattern"] = json!(pattern(name));
        }
    }
}

/// An optional member of an answer is there and null.
fn complete_answer(schema: &mut Map<String, Value>) {
    let required: BTreeSet<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    for (name, property) in properties(schema) {
        if !required.contains(name.as_str()) && property.get("$ref").is_none() {
            property["nullable"] = json!(true);
        }
    }
}

fn complete_parameters(spec: &mut Value) {
    let items = spec["paths"]
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut);
    let operations = items
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    let parameters = operations
        .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
        .flatten();
    for parameter in parameters {
        if parameter["name"] == "Idempotency-Key" {
            parameter["schema"]["pattern"] = json!(IDEMPOTENCY_KEY);
        }
    }
}

/// One status with two media types, of which the derived document keeps one.
fn complete_export(spec: &mut Value) {
    let answer = "/paths/~1api~1v1~1admin~1events~1export/get/responses/200/content";
    if let Some(content) = spec.pointer_mut(answer) {
        content["text/csv; charset=utf-8"] = json!({ "schema": { "type": "string" } });
    }
}

fn properties(schema: &mut Map<String, Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
}

/// What a string field may hold, as a regular expression. The code checks the same and says
/// it in words.
fn pattern(field: &str) -> &'static str {
    match field {
        "email" => EMAIL,
        "idempotencyKey" => IDEMPOTENCY_KEY,
        "appId" => "^[!-~]{1,64}$",
        _ => "^[^\\u0000]*$",
    }
}

const IDEMPOTENCY_KEY: &str = "^[!-~]{1,255}$";
const EMAIL: &str = concat!(
    r"^ *[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@",
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])? *$"
);
