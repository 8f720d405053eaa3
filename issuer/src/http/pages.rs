//! Pages that the issuer serves itself.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};

use super::docs::hashes;
use super::problem::{Problem, ProblemCode};

/// Answers a page of ours. Its policy names its style by hash; there are no scripts, and a form
/// sends only to us.
pub fn render(status: StatusCode, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        return Problem::new(ProblemCode::Internal).into_response();
    };
    let policy = format!(
        "default-src 'none'; style-src {}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hashes(&html, "style")
    );
    answer(status, &policy, html)
}

/// Answers HTML that was made for a mail program: without scripts, forms or anything loaded.
pub fn foreign(html: &str) -> Response {
    answer(StatusCode::OK, FOREIGN_POLICY, html.to_owned())
}

fn answer(status: StatusCode, policy: &str, html: String) -> Response {
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .body(html)
}

/// Mail carries its style in attributes, which no hash can name.
const FOREIGN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
     frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox \
     allow-top-navigation-by-user-activation";
