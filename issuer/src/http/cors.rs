//! Cross-origin requests: only from origins that the operator listed.

use poem::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

/// The listed origins.
#[derive(Debug)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// Origins as they appear in `Origin` headers.
    pub fn new(origins: &[String]) -> Self {
        Self {
            origins: origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect(),
        }
    }

    /// The answer to a preflight (Fetch standard, CORS-preflight request); `None` for anything else.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }
        let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
        if self.is_listed(headers.get(header::ORIGIN)) {
            for (name, value) in PREFLIGHT_HEADERS {
                response
                    .headers_mut()
                    .insert(name.clone(), HeaderValue::from_static(value));
            }
        }
        Some(response)
    }

    /// Lets the page of a listed origin read the answer.
    pub fn decorate(&self, response: &mut Response, origin: Option<&HeaderValue>) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|_| self.is_listed(origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSED),
            );
        }
    }

    fn is_listed(&self, origin: Option<&HeaderValue>) -> bool {
        origin.is_some_and(|origin| self.origins.contains(origin))
    }
}

const PREFLIGHT_HEADERS: &[(HeaderName, &str)] = &[
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, POST, PATCH, PUT, DELETE",
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, idempotency-key, if-match, if-none-match",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
const EXPOSED: &str = "etag, idempotent-replayed, link, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, www-authenticate, x-request-id";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: &'static str) -> Request {
        Request::builder()
            .method(Method::OPTIONS)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .finish()
    }

    #[test]
    fn preflight_of_an_unlisted_origin_allows_nothing() {
        let cors = Cors::new(&["https://app.example.com".into()]);
        let answer = cors
            .preflight(&request("https://evil.example"))
            .expect("a preflight");
        assert!(
            !answer
                .headers()
                .contains_key("access-control-allow-methods")
        );
        let answer = cors
            .preflight(&request("https://app.example.com"))
            .expect("a preflight");
        assert!(
            answer
                .headers()
                .contains_key("access-control-allow-methods")
        );
    }

    #[test]
    fn only_a_listed_origin_may_read_and_never_any() {
        let cors = Cors::new(&["https://app.example.com".into()]);
        for (origin, listed) in [
            ("https://app.example.com", true),
            ("https://app.example.com.evil", false),
            ("null", false),
        ] {
            let mut response = Response::default();
            cors.decorate(&mut response, Some(&HeaderValue::from_static(origin)));
            assert_eq!(
                response
                    .headers()
                    .contains_key("access-control-allow-origin"),
                listed,
                "{origin}"
            );
            assert_eq!(response.headers()["vary"], "Origin");
        }
    }
}
