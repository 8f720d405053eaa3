//! The specification and a page to try it.

use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Endpoint, Response};

use super::specification;
use crate::secret::sha256;
use base64ct::{Base64, Encoding};

/// Serves the OpenAPI document.
pub fn specification(spec: &serde_json::Value) -> impl Endpoint<Output = Response> + use<> {
    let text = specification::text(spec);
    make_sync(move |_| {
        Response::builder()
            .content_type("application/json")
            .body(text.clone())
    })
}

/// Serves the page with a policy that names its scripts and styles by hash: nothing is loaded
/// from elsewhere, and nothing runs that was not built in.
pub fn page(html: &str) -> impl Endpoint<Output = Response> + use<> {
    let policy = HeaderValue::from_str(&policy(html)).expect("hashes are ASCII");
    let html = html.to_owned();
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, policy.clone())
            .body(html.clone())
    })
}

fn policy(html: &str) -> String {
    let (scripts, styles) = (hashes(html, "script"), hashes(html, "style"));
    format!(
        "default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The hashes of all inline elements of a name (Content Security Policy level 3, section 8.4).
pub(super) fn hashes(html: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}"), format!("</{element}>"));
    let mut sources = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((_, content)) = after.split_once('>') else {
            break;
        };
        let Some((content, after)) = content.split_once(&close) else {
            break;
        };
        sources.push(format!(
            "'sha256-{}'",
            Base64::encode_string(&sha256(content.as_bytes()))
        ));
        rest = after;
    }
    sources.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_inline_script_is_named_by_its_hash() {
        let found = hashes(
            "<script>a</script><p><script type=\"x\">b</script>",
            "script",
        );
        let expected = ["a", "b"].map(|text| {
            format!(
                "'sha256-{}'",
                Base64::encode_string(&sha256(text.as_bytes()))
            )
        });
        assert_eq!(found, expected.join(" "));
    }
}
