//! Operations straight to the API, pages by their routes.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, Request, Response, Result, Route};

/// What a request meets first. A nested API is found through a second look-up, for which the
/// request's address is taken apart and put together again: more than the small operations cost.
pub struct Front {
    api: Arc<BoxEndpoint<'static, Response>>,
    /// Everything, the API too.
    all: Route,
}

impl Front {
    /// The API, with pages beside it.
    pub fn new(pages: Route, api: BoxEndpoint<'static, Response>) -> Self {
        let api = Arc::new(api);
        Self {
            all: pages.nest("/", Arc::clone(&api)),
            api,
        }
    }
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.uri().path();
        match API_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
            true => self.api.call(request).await,
            false => self.all.call(request).await,
        }
    }
}

/// No page is there.
const API_PREFIXES: [&str; 2] = ["/api/v1/", "/.well-known/"];
