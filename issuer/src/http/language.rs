//! The language a request asks for.

use poem::http::header;
use poem::{FromRequest, Request, RequestBody, Result};

use crate::mail::Locale;

/// Reads `Accept-Language`; English when it names none of ours.
pub fn of(request: &Request) -> Locale {
    let header = request.header(header::ACCEPT_LANGUAGE);
    Locale::from_accept_language(header.unwrap_or_default())
}

impl<'a> FromRequest<'a> for Locale {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(of(request))
    }
}
