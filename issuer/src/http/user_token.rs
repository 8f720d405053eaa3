//! The access token of the user a service acts for, beside the service's own secret.

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaParamIn, MetaSchema, MetaSchemaRef};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::problem::{Problem, ProblemCode, Refusal, SignedIn};
use crate::secret::SecretText;

/// The header, unverified.
#[derive(Debug)]
pub struct UserToken(Option<SecretText>);

impl UserToken {
    /// The token, if one was sent.
    pub fn text(&self) -> Option<&str> {
        self.0.as_ref().map(SecretText::expose)
    }

    fn of(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let malformed = || Problem::with_detail(ProblemCode::InvalidToken, "malformed");
        if values.next().is_some() {
            return Err(malformed());
        }
        let text = value.to_str().map_err(|_| malformed())?;
        Ok(Self(Some(SecretText::new(text.to_owned()))))
    }
}

impl<'a> ApiExtractor<'a> for UserToken {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))))
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<String>,
    ) -> Result<Self> {
        Self::of(request).map_err(|problem| Refusal::<SignedIn>::from(problem).into())
    }
}

const HEADER: &str = "x-user-token";
