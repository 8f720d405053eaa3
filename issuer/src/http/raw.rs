//! A JSON body as the bytes that came: what is signed is bytes.

use poem::{Request, RequestBody, Result};
use poem_openapi::impl_apirequest_for_payload;
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};

use super::json::Body;
use super::problem::{Problem, ProblemCode, Public, Refusal};

/// The bytes of a JSON body, unread.
#[derive(Debug)]
pub struct RawBody(pub Vec<u8>);

impl Payload for RawBody {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Body::<String>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("object")))
    }

    fn register(_: &mut Registry) {}
}

impl ParsePayload for RawBody {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> Result<Self> {
        // The shell has taken the body in and checked its size.
        let internal = || Refusal::<Public>::from(Problem::new(ProblemCode::Internal));
        let body = body.take().map_err(|_| internal())?;
        Ok(Self(body.into_vec().await.map_err(|_| internal())?))
    }
}

impl_apirequest_for_payload!(RawBody);
