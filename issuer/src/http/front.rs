//! Operations straight to the API, pages by their routes.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::{EndpointExt, Request, Response, Result, Route};

/// What a request meets first. A nested API is found through a second look-up, for which the
/// request's address is taken apart and put together again: more than the small operations cost.
pub struct Front {
    api: Arc<BoxEndpoint<'static, Response>>,
    /// Everything, the API too.
    all: BoxEndpoint<'static, Response>,
}

impl Front {
    /// The API, with pages beside it.
    pub fn new(pages: Route, api: BoxEndpoint<'static, Response>) -> Self {
        let api = Arc::new(api);
        Self {
            all: pages.nest("/", Arc::clone(&api)).boxed(),
            api,
        }
    }
}

impl DynEndpoint for Front {
    type Output = Response;

    fn call(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        let path = request.uri().path();
        let target = match API_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) {
            true => self.api.as_ref().as_ref(),
            false => self.all.as_ref(),
        };
        DynEndpoint::call(target, request)
    }
}

/// No page is there.
const API_PREFIXES: [&str; 2] = ["/api/v1/", "/.well-known/"];
