//! Middleware for poem.
//!
//! ```no_run
//! use poem::{EndpointExt, Route, get, handler};
//! use shared_claims::middleware::{CurrentUser, Guard};
//!
//! #[handler]
//! fn hello(user: &CurrentUser) -> String {
//!     format!("hello {}", user.sub)
//! }
//!
//! fn app(guard: Guard) -> impl poem::Endpoint {
//!     Route::new().nest("/api", Route::new().at("/hello", get(hello)).with(guard))
//! }
//! ```

use alloc::string::String;
use alloc::sync::Arc;

use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Endpoint, FromRequest, Middleware, Request, RequestBody, Response, Result};

use super::{CurrentUser, Guard, Refusal};

/// An endpoint behind a [`Guard`].
#[derive(Debug)]
pub struct Guarded<E> {
    guard: Guard,
    inner: Arc<E>,
}

impl<E: Endpoint> Middleware<E> for Guard {
    type Output = Guarded<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Guarded {
            guard: self.clone(),
            inner: Arc::new(endpoint),
        }
    }
}

impl<E: Endpoint> Endpoint for Guarded<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<Self::Output> {
        let headers = request.headers().get_all(header::AUTHORIZATION).iter();
        let user = self
            .guard
            .authenticate(headers.map(header::HeaderValue::as_bytes))
            .await?;
        if let Some(user) = user {
            request.extensions_mut().insert(user);
        }
        self.inner.call(request).await
    }
}

/// The user behind a [`Guard`]; without one, or for nobody, the request is refused.
impl<'a> FromRequest<'a> for &'a CurrentUser {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let user = request.extensions().get();
        Ok(user.ok_or(Refusal::MissingToken)?)
    }
}

impl ResponseError for Refusal {
    fn status(&self) -> StatusCode {
        // Every status of a refusal is one of HTTP.
        StatusCode::from_u16(Refusal::status(*self)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        let mut response = Response::builder().status(ResponseError::status(self));
        for (name, value) in self.headers() {
            response = response.header(name, value);
        }
        let body: String = Refusal::body(*self);
        response.body(body)
    }
}
