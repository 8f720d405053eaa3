//! `If-Match`: a change that is made only to the version its author has seen (RFC 9110, 13.1.1).

use poem::Request;
use poem::http::header;

use super::header_extractor::header_extractor;

/// The versions a change may be made to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<i64>>);

impl IfMatch {
    /// The versions named; `None` when any will do. What is not an entity tag of ours names none.
    pub fn versions(&self) -> Option<&[i64]> {
        self.0.as_deref()
    }

    fn of(request: &Request) -> Self {
        let mut versions = None;
        for value in request.headers().get_all(header::IF_MATCH) {
            let text = value.to_str().unwrap_or_default();
            if text.trim() == "*" {
                return Self(None);
            }
            let named = text.split(',').take(MAX_TAGS).filter_map(version);
            versions.get_or_insert_with(Vec::new).extend(named);
        }
        Self(versions)
    }
}

/// The entity tag of a version.
pub fn etag_of_version(version: i64) -> String {
    format!("\"{version}\"")
}

/// Weak tags never match (section 13.1.1 asks for the strong comparison).
fn version(tag: &str) -> Option<i64> {
    let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

header_extractor!(IfMatch, |request| Ok(Self::of(request)));

/// A client has seen one version, at most a few.
const MAX_TAGS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(headers: &[&str]) -> Option<Vec<i64>> {
        let mut request = Request::builder().finish();
        for header in headers {
            let value = header.parse().expect("a header value");
            request.headers_mut().append(header::IF_MATCH, value);
        }
        IfMatch::of(&request).0
    }

    #[test]
    fn without_the_header_or_with_a_star_any_version_will_do() {
        assert_eq!(versions(&[]), None);
        assert_eq!(versions(&["*"]), None);
        assert_eq!(versions(&["\"1\"", "*"]), None);
    }

    #[test]
    fn every_strong_tag_of_ours_is_a_version() {
        assert_eq!(versions(&["\"7\""]), Some(vec![7]));
        assert_eq!(versions(&["\"7\", \"8\"", "\"9\""]), Some(vec![7, 8, 9]));
        assert_eq!(versions(&[&etag_of_version(12)]), Some(vec![12]));
    }

    #[test]
    fn anything_else_matches_no_version() {
        for tag in [
            "7", "W/\"7\"", "\"\"", "\"+7\"", "\"-7\"", "\"a\"", "", "\"7",
        ] {
            assert_eq!(versions(&[tag]), Some(vec![]), "{tag}");
        }
    }
}
