//! Cross-origin rules (the Fetch standard, "CORS protocol"): preflights are answered
//! before authentication, and refusals carry the same headers as answers, so that a
//! page can read why it was refused.

use crate::config::{Config, Cors, Method, Route};
use crate::headers::Headers;
use crate::refusal::Refusal;
use crate::routes::{self, Found};

/// Response headers, name and value.
pub type HeaderList = Vec<(&'static str, String)>;

/// The answer to a preflight, when the request is one and its path has CORS rules.
pub fn preflight(
    config: &Config,
    host: &str,
    path: &str,
    method: Option<Method>,
    headers: &Headers<'_>,
) -> Option<Result<HeaderList, Refusal>> {
    let origin = headers.get("origin")?;
    let wanted = headers.get("access-control-request-method")?;
    if method != Some(Method::Options) {
        return None;
    }
    let (route, found) = match routes::find(config, host, path, Method::parse(wanted)) {
        Found::Route(route) => (route, true),
        Found::OtherMethods(route) => (route, false),
        Found::Nothing => return None,
    };
    let cors = route.cors.as_ref()?;
    Some(if !found {
        Err(Refusal::MethodNotAllowed {
            allow: routes::allowed_methods(config, route),
        })
    } else if allowed_origin(cors, origin).is_none() {
        Err(Refusal::Forbidden(
            "This origin is not listed for the route.",
        ))
    } else {
        Ok(allow(config, route, cors, origin, headers))
    })
}

/// The headers that let a page of this origin read an answer; empty when it may not.
pub fn headers_for(cors: &Cors, origin: Option<&str>) -> HeaderList {
    let Some(allowed) = origin.and_then(|origin| allowed_origin(cors, origin)) else {
        return Vec::new();
    };
    let mut list = vec![("access-control-allow-origin", allowed)];
    if cors.credentials {
        list.push(("access-control-allow-credentials", "true".into()));
    }
    list
}

/// Whether the origin is listed by name; `*` and `null` never count as that.
pub fn is_listed(cors: Option<&Cors>, origin: Option<&str>) -> bool {
    let listed =
        |cors: &Cors, origin: &str| origin != "*" && cors.origins.iter().any(|o| o == origin);
    cors.zip(origin)
        .is_some_and(|(cors, origin)| listed(cors, origin))
}

fn allow(
    config: &Config,
    route: &Route,
    cors: &Cors,
    origin: &str,
    headers: &Headers<'_>,
) -> HeaderList {
    let mut list = headers_for(cors, Some(origin));
    list.push((
        "access-control-allow-methods",
        routes::allowed_methods(config, route),
    ));
    if let Some(names) = headers
        .get("access-control-request-headers")
        .filter(|n| are_names(n))
    {
        list.push(("access-control-allow-headers", names.to_owned()));
    }
    list.push(("access-control-max-age", cors.max_age_secs.to_string()));
    list
}

fn allowed_origin(cors: &Cors, origin: &str) -> Option<String> {
    if cors.origins.iter().any(|listed| listed == "*") {
        return Some("*".into());
    }
    cors.origins
        .iter()
        .find(|listed| *listed == origin)
        .cloned()
}

/// Whether the text lists header names and nothing else (RFC 9110, section 5.1).
fn are_names(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(&byte);
    text.len() <= MAX_REQUEST_HEADERS && text.bytes().all(plain)
}

/// Repeated to the client, so bounded; a page that sets fifty headers needs half of it.
const MAX_REQUEST_HEADERS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config_of;

    const ROUTES: &str = r#"
        [[route]]
        id = "listed"
        path = "/listed"
        methods = ["GET", "PUT"]
        cors = { origins = ["https://app.example"], credentials = true, max_age_s = 60 }
        [[route]]
        id = "any"
        path = "/any"
        cors = { origins = ["*"] }
        [[route]]
        id = "none"
        path = "/none"
        methods = ["OPTIONS"]
    "#;

    fn ask(path: &str, headers: &str) -> Option<Result<HeaderList, Refusal>> {
        let headers = Headers::parse(headers).expect("few headers");
        preflight(
            &config_of(ROUTES),
            "h",
            path,
            Some(Method::Options),
            &headers,
        )
    }

    #[test]
    fn preflight_from_a_listed_origin_is_allowed() {
        let headers = "origin\nhttps://app.example\naccess-control-request-method\nPUT\n\
            access-control-request-headers\nauthorization, content-type\n";
        let wanted = vec![
            (
                "access-control-allow-origin",
                "https://app.example".to_owned(),
            ),
            ("access-control-allow-credentials", "true".to_owned()),
            ("access-control-allow-methods", "GET, PUT".to_owned()),
            (
                "access-control-allow-headers",
                "authorization, content-type".to_owned(),
            ),
            ("access-control-max-age", "60".to_owned()),
        ];
        assert_eq!(ask("/listed", headers), Some(Ok(wanted)));
    }

    #[test]
    fn preflight_is_refused_for_other_origins_and_methods() {
        for (origin, method) in [
            ("https://evil.example", "GET"),
            ("null", "GET"),
            ("*", "GET"),
            ("https://app.example.evil.example", "GET"),
            ("https://app.example", "DELETE"),
            ("https://app.example", "TRACE"),
        ] {
            let headers = format!("origin\n{origin}\naccess-control-request-method\n{method}\n");
            assert!(
                matches!(ask("/listed", &headers), Some(Err(_))),
                "{origin} {method}"
            );
        }
    }

    #[test]
    fn request_header_names_are_not_repeated_when_they_are_none() {
        let headers = "origin\nhttps://app.example\naccess-control-request-method\nGET\n\
            access-control-request-headers\nx\u{e9}\n";
        let list = ask("/listed", headers)
            .expect("a preflight")
            .expect("allowed");
        assert!(
            list.iter()
                .all(|(name, _)| *name != "access-control-allow-headers")
        );
    }

    #[test]
    fn what_is_no_preflight_is_left_to_the_route() {
        let origin = "origin\nhttps://app.example\n";
        assert_eq!(ask("/listed", origin), None);
        assert_eq!(ask("/listed", "access-control-request-method\nGET\n"), None);
        let both = "origin\nhttps://app.example\naccess-control-request-method\nOPTIONS\n";
        assert_eq!(ask("/none", both), None);
        assert_eq!(ask("/nowhere", both), None);
    }

    #[test]
    fn star_allows_reading_but_is_no_listed_origin() {
        let config = config_of(ROUTES);
        let cors = config
            .routes
            .iter()
            .find(|route| route.id == "any")
            .and_then(|r| r.cors.as_ref());
        let list = headers_for(cors.expect("it has rules"), Some("https://x.example"));
        assert_eq!(list, [("access-control-allow-origin", "*".to_owned())]);
        for origin in [Some("https://x.example"), Some("*"), None] {
            assert!(!is_listed(cors, origin), "{origin:?}");
        }
    }

    #[test]
    fn unlisted_origin_gets_no_header() {
        let config = config_of(ROUTES);
        let listed = config.routes.iter().find(|route| route.id == "listed");
        let cors = listed
            .and_then(|route| route.cors.as_ref())
            .expect("it has rules");
        assert!(headers_for(cors, Some("https://evil.example")).is_empty());
        assert!(headers_for(cors, None).is_empty());
        assert!(is_listed(Some(cors), Some("https://app.example")));
        assert!(!is_listed(Some(cors), Some("null")));
    }
}
