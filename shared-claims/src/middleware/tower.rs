//! A layer for whatever speaks tower: axum, tonic, hyper.
//!
//! ```no_run
//! # async fn answer(request: http::Request<String>) -> Result<http::Response<String>, core::convert::Infallible> {
//! # Ok(http::Response::new(String::new()))
//! # }
//! # fn app(guard: shared_claims::middleware::Guard) {
//! use shared_claims::middleware::{CurrentUser, tower::GuardLayer};
//! use tower_layer::Layer;
//!
//! # let service = tower::service_fn(answer);
//! let service = GuardLayer::new(guard).layer(service);
//! // A handler finds `CurrentUser` among the extensions of its request:
//! // request.extensions().get::<CurrentUser>()
//! # let _: Option<CurrentUser> = None;
//! # let _ = service;
//! # }
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll};

use http::{HeaderValue, Request, Response, StatusCode, header};
use tower_layer::Layer;
use tower_service::Service;

use super::{Guard, Refusal};

/// Puts services behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct GuardLayer(Guard);

/// A service behind a [`Guard`]. Its answers to what it refuses are problem documents.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl GuardLayer {
    /// A layer with this guard.
    pub fn new(guard: Guard) -> Self {
        Self(guard)
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded {
            guard: self.0.clone(),
            inner,
        }
    }
}

impl<S, Body, Answer> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Answer>> + Clone + Send + 'static,
    S::Future: Send,
    Body: Send + 'static,
    Answer: From<String>,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let guard = self.guard.clone();
        // The one that was polled ready is the one to call; the clone takes its place.
        let clone = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let headers = request.headers().get_all(header::AUTHORIZATION);
            let tokens: Vec<HeaderValue> = headers.iter().cloned().collect();
            let user = guard
                .authenticate(tokens.iter().map(HeaderValue::as_bytes))
                .await;
            match user {
                Ok(Some(user)) => {
                    request.extensions_mut().insert(user);
                }
                Ok(None) => {}
                Err(refusal) => return Ok(answer(refusal)),
            }
            inner.call(request).await
        })
    }
}

fn answer<Body: From<String>>(refusal: Refusal) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.body()));
    // Every status of a refusal is one of HTTP, and every value visible ASCII.
    *response.status_mut() =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in refusal.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
