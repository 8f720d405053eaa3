//! Headers that operations read for themselves, because they must not be passed over in silence.

/// Makes a type the parameter of an operation: a header of any text, and how a request becomes one.
macro_rules! header_extractor {
    ($parameter:ty, $read:expr) => {
        impl<'a> poem_openapi::ApiExtractor<'a> for $parameter {
            const TYPES: &'static [poem_openapi::ApiExtractorType] =
                &[poem_openapi::ApiExtractorType::Parameter];
            type ParamType = String;
            type ParamRawType = String;

            fn param_in() -> Option<poem_openapi::registry::MetaParamIn> {
                Some(poem_openapi::registry::MetaParamIn::Header)
            }

            fn param_schema_ref() -> Option<poem_openapi::registry::MetaSchemaRef> {
                let text = poem_openapi::registry::MetaSchema::new("string");
                Some(poem_openapi::registry::MetaSchemaRef::Inline(Box::new(
                    text,
                )))
            }

            async fn from_request(
                request: &'a poem::Request,
                _: &mut poem::RequestBody,
                _: poem_openapi::ExtractParamOptions<String>,
            ) -> poem::Result<Self> {
                $read(request)
            }
        }
    };
}

pub(super) use header_extractor;
