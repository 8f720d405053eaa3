//! JSON bodies, checked against the schema that the documentation publishes.
//!
//! The derived parsers alone are lenient (a number passes for a string) and stop at the first
//! mistake; the walk over the schema names every wrong field and what would be right.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use poem::{Request, RequestBody, Result};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, impl_apirequest_for_payload,
};
use serde_json::{Map, Value};

use super::problem::{FieldError, Problem, ProblemCode, Refusal, Statuses};

/// A JSON body of type `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(_request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(body).await.map_err(Refusal::<BodyStatuses>::from)?;
        parse(&bytes)
            .map(Self)
            .map_err(|problem| Refusal::<BodyStatuses>::from(problem).into())
    }
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = MetaMediaType {
            content_type: Body::<T>::CONTENT_TYPE,
            schema: T::schema_ref(),
        };
        Some(MetaRequest {
            description: None,
            content: vec![content],
            required: false,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let bytes = read(body).await.map_err(Refusal::<BodyStatuses>::from)?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !request
            .content_type()
            .is_some_and(Body::<T>::check_content_type)
        {
            return Err(Refusal::<BodyStatuses>::from(Problem::new(
                ProblemCode::UnsupportedMediaType,
            ))
            .into());
        }
        parse(&bytes)
            .map(|value| Self(Some(value)))
            .map_err(|problem| Refusal::<BodyStatuses>::from(problem).into())
    }
}

struct BodyStatuses;
impl Statuses for BodyStatuses {
    const EXTRA: &'static [u16] = &[];
}

/// The shell has taken the body in and checked its size.
async fn read(body: &mut RequestBody) -> Result<Vec<u8>, Problem> {
    let body = body
        .take()
        .map_err(|_| Problem::new(ProblemCode::Internal))?;
    body.into_vec()
        .await
        .map_err(|_| Problem::new(ProblemCode::Internal))
}

fn parse<T: ParseFromJSON>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|_| Problem::new(ProblemCode::MalformedJson))?;
    let mut errors = Vec::new();
    find_nul(&value, String::new(), &mut errors);
    Schemas::of::<T>().check(&T::schema_ref(), &value, "", &mut errors);
    errors.truncate(MAX_FIELD_ERRORS);
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    T::parse_from_json(Some(value)).map_err(|_| {
        Problem::validation(vec![FieldError::new(
            "",
            "does not have the documented form",
        )])
    })
}

/// PostgreSQL text cannot hold U+0000, so nothing we accept may.
fn find_nul(value: &Value, path: String, errors: &mut Vec<FieldError>) {
    let nul = match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                find_nul(item, format!("{path}[{i}]"), errors);
            }
            false
        }
        Value::Object(members) => {
            for (name, member) in members {
                find_nul(member, join(&path, name), errors);
            }
            members.keys().any(|name| name.contains('\0'))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    if nul {
        errors.push(FieldError::new(
            path,
            "must not contain the character U+0000",
        ));
    }
}

/// The published schemas that a type refers to.
struct Schemas(HashMap<String, MetaSchema>);

impl Schemas {
    /// They never change, so they are gathered once for each type.
    fn of<T: Type>() -> Arc<Self> {
        static GATHERED: Mutex<BTreeMap<String, Arc<Schemas>>> = Mutex::new(BTreeMap::new());
        let mut gathered = GATHERED.lock().expect("no holder of this lock panics");
        let entry = gathered.entry(T::name().into_owned());
        let schemas = entry.or_insert_with(|| {
            let mut registry = Registry::new();
            T::register(&mut registry);
            Arc::new(Self(registry.schemas.into_iter().collect()))
        });
        Arc::clone(schemas)
    }

    fn check(
        &self,
        schema: &MetaSchemaRef,
        value: &Value,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        match schema {
            MetaSchemaRef::Reference(name) => {
                if let Some(schema) = self.0.get(name.as_str()) {
                    self.check_inline(schema, value, path, errors);
                }
            }
            MetaSchemaRef::Inline(schema) => self.check_inline(schema, value, path, errors),
        }
    }

    fn check_inline(
        &self,
        schema: &MetaSchema,
        value: &Value,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        if value.is_null() && schema.nullable {
            return;
        }
        for part in &schema.all_of {
            self.check(part, value, path, errors);
        }
        match (schema.ty, value) {
            ("object", Value::Object(members)) => self.check_object(schema, members, path, errors),
            ("array", Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    if let Some(schema) = &schema.items {
                        self.check(schema, item, &format!("{path}[{i}]"), errors);
                    }
                }
            }
            ("", _) => {}
            (ty, value) => {
                if let Some(message) = scalar_problem(ty, schema, value) {
                    errors.push(FieldError::new(path, message));
                }
            }
        }
    }

    fn check_object(
        &self,
        schema: &MetaSchema,
        members: &Map<String, Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        for name in &schema.required {
            if !members.contains_key(*name) {
                errors.push(FieldError::new(join(path, name), "is required"));
            }
        }
        for (name, member) in members {
            match schema
                .properties
                .iter()
                .find(|(property, _)| property == name)
            {
                Some((_, schema)) => self.check(schema, member, &join(path, name), errors),
                None if schema.properties.is_empty() => {}
                None => errors.push(FieldError::new(join(path, name), "is not a known field")),
            }
        }
    }
}

fn scalar_problem(ty: &str, schema: &MetaSchema, value: &Value) -> Option<String> {
    let fits = match (ty, value) {
        ("string", Value::String(text)) => {
            let length = text.chars().count();
            schema.min_length.is_none_or(|min| length >= min)
                && schema.max_length.is_none_or(|max| length <= max)
                && (schema.enum_items.is_empty() || schema.enum_items.contains(value))
        }
        ("integer", Value::Number(number)) => number
            .as_i64()
            .is_some_and(|number| in_range(schema, number)),
        ("boolean", Value::Bool(_)) => true,
        _ => false,
    };
    (!fits).then(|| expectation(ty, schema))
}

fn in_range(schema: &MetaSchema, number: i64) -> bool {
    whole(schema.minimum).is_none_or(|min| number >= min)
        && whole(schema.maximum).is_none_or(|max| number <= max)
}

fn expectation(ty: &str, schema: &MetaSchema) -> String {
    match ty {
        "string" if !schema.enum_items.is_empty() => {
            let names = schema.enum_items.iter().filter_map(Value::as_str);
            format!("must be one of {}", names.collect::<Vec<_>>().join(", "))
        }
        "string" => match (schema.min_length, schema.max_length) {
            (Some(min), Some(max)) => format!("must be a string of {min} to {max} characters"),
            (None, Some(max)) => format!("must be a string of at most {max} characters"),
            (Some(min), None) => format!("must be a string of at least {min} characters"),
            (None, None) => "must be a string".into(),
        },
        "integer" => match (whole(schema.minimum), whole(schema.maximum)) {
            (Some(min), Some(max)) => format!("must be a whole number from {min} to {max}"),
            _ => "must be a whole number".into(),
        },
        "boolean" => "must be true or false".into(),
        "array" => "must be an array".into(),
        _ => "must be an object".into(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bounds in our schemas are whole numbers below 2^53"
)]
fn whole(bound: Option<f64>) -> Option<i64> {
    bound.map(|bound| bound as i64)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// No body of the API comes near it; a larger one is a mistake or an attack.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Enough to mend a form in one go, and keeps the answer small.
const MAX_FIELD_ERRORS: usize = 20;

#[cfg(test)]
mod tests {
    use poem_openapi::{Enum, Object};

    use super::*;

    #[derive(Debug, Object)]
    #[oai(deny_unknown_fields)]
    struct Example {
        #[oai(validator(minimum(value = "1"), maximum(value = "1000000000000")))]
        amount: i64,
        #[oai(validator(min_length = 1, max_length = 8))]
        name: String,
        note: Option<String>,
        colour: Option<Colour>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
    #[oai(rename_all = "lowercase")]
    enum Colour {
        Red,
        Green,
    }

    fn errors(body: &str) -> Vec<(String, String)> {
        let problem = parse::<Example>(body.as_bytes()).expect_err("refused");
        assert_eq!(problem.code(), ProblemCode::ValidationFailed);
        problem
            .errors()
            .iter()
            .map(|error| (error.field.clone(), error.message.clone()))
            .collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let found = errors(r#"{"amount":0,"name":"","extra":1}"#);
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["amount", "extra", "name"]);
    }

    #[test]
    fn amounts_that_are_not_whole_numbers_in_range_are_refused() {
        for amount in [
            "0",
            "-1",
            "1.5",
            "9223372036854775808",
            "\"5\"",
            "null",
            "1000000000001",
            "1e3",
            "[]",
        ] {
            let found = errors(&format!(r#"{{"amount":{amount},"name":"a"}}"#));
            assert_eq!(found.len(), 1, "{amount}: {found:?}");
            assert_eq!(found[0].0, "amount");
        }
    }

    #[test]
    fn missing_fields_and_wrong_shapes_are_refused() {
        assert_eq!(errors("{}").len(), 2);
        assert_eq!(
            errors("[]"),
            [(String::new(), "must be an object".to_owned())]
        );
        assert_eq!(errors(r#"{"amount":1,"name":"a","note":3}"#)[0].0, "note");
    }

    #[test]
    fn a_name_that_is_not_on_the_list_is_answered_with_the_list() {
        let found = errors(r#"{"amount":1,"name":"a","colour":"blue"}"#);
        let expected = ("colour".to_owned(), "must be one of red, green".to_owned());
        assert_eq!(found, [expected]);
        let body = parse::<Example>(br#"{"amount":1,"name":"a","colour":"green"}"#);
        assert_eq!(body.expect("accepted").colour, Some(Colour::Green));
    }

    #[test]
    fn malformed_json_is_its_own_problem() {
        for body in ["", "{", "nonsense", "{\"amount\":01}"] {
            let problem = parse::<Example>(body.as_bytes()).expect_err("refused");
            assert_eq!(problem.code(), ProblemCode::MalformedJson, "{body}");
        }
    }

    #[test]
    fn a_nul_character_is_refused_wherever_it_stands() {
        let problem = parse::<Example>(br#"{"amount":1,"name":"a\u0000"}"#).expect_err("refused");
        assert_eq!(problem.code(), ProblemCode::ValidationFailed);
    }

    #[test]
    fn a_good_body_is_parsed() {
        let body = parse::<Example>(br#"{"amount":7,"name":"a"}"#).expect("accepted");
        assert_eq!((body.amount, body.name.as_str(), body.note), (7, "a", None));
    }
}
