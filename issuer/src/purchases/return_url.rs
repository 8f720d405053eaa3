//! Where a checkout may send people back to.

use url::Url;

/// A URL whose origin is one of ours or an app's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(String);

impl ReturnUrl {
    /// `None` unless it is an absolute URL of a listed origin, without credentials. What is kept is
    /// what a browser would make of it, so that nobody reads it in another way than it was checked.
    pub fn parse(text: &str, origins: &[String]) -> Option<Self> {
        if text.len() > MAX_URL_BYTES || text.chars().any(char::is_control) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let origin = url.origin();
        // A `blob:` URL has the origin of the page that made it.
        let is_web = matches!(url.scheme(), "https" | "http");
        let listed = is_web && origins.contains(&origin.ascii_serialization());
        let plain = url.username().is_empty() && url.password().is_none();
        // Stripe fills in the id of the checkout; braces in a path would be percent-encoded.
        let kept = url
            .to_string()
            .replace("%7BCHECKOUT_SESSION_ID%7D", SESSION);
        (listed && plain && kept.len() <= MAX_URL_BYTES).then_some(Self(kept))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What Stripe takes.
const MAX_URL_BYTES: usize = 2_048;
const SESSION: &str = "{CHECKOUT_SESSION_ID}";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        let origins = ["https://app.example.com", "http://127.0.0.1:9000"].map(String::from);
        ReturnUrl::parse(text, &origins).map(|url| url.as_str().to_owned())
    }

    #[test]
    fn pages_of_listed_origins_are_accepted_as_a_browser_reads_them() {
        for (text, kept) in [
            ("https://app.example.com", "https://app.example.com/"),
            (
                "https://app.example.com/a?b=c#d",
                "https://app.example.com/a?b=c#d",
            ),
            (
                "HTTPS://APP.example.com:443/a/../b",
                "https://app.example.com/b",
            ),
            (
                "https://app.example.com/done?s={CHECKOUT_SESSION_ID}",
                "https://app.example.com/done?s={CHECKOUT_SESSION_ID}",
            ),
            (
                "https://app.example.com/{CHECKOUT_SESSION_ID}/done",
                "https://app.example.com/{CHECKOUT_SESSION_ID}/done",
            ),
            ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(kept), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("https://app.example.com/{}", "a".repeat(2_048));
        for text in [
            "",
            "/relative",
            "app.example.com",
            "https://evil.example.com/",
            "https://app.example.com.evil.example/",
            "https://app.example.com:8443/",
            "http://app.example.com/",
            "https://app.example.com@evil.example/",
            "https://user:secret@app.example.com/",
            "https://evil.example\\@app.example.com/",
            "https://app.example.com/\n",
            "javascript:alert(1)",
            "data:text/html,x",
            "blob:https://app.example.com/x",
            &long,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
