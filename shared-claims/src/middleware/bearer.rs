//! The one access token of a request (RFC 6750, section 2.1).

use super::Refusal;

/// The token in these headers. Of another scheme, a header is no business of ours.
pub(super) fn token<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<&'a str>, Refusal> {
    let mut found = None;
    for header in headers {
        let Some(token) = bearer(header) else {
            continue;
        };
        if found.replace(token).is_some() {
            return Err(Refusal::MultipleTokens);
        }
    }
    Ok(found)
}

/// What is no text becomes no token of ours, which the verifier refuses.
fn bearer(header: &[u8]) -> Option<&str> {
    let (scheme, rest) = header.split_at_checked(SCHEME.len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(SCHEME);
    is_bearer.then(|| core::str::from_utf8(rest).unwrap_or_default().trim())
}

const SCHEME: &[u8] = b"bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        token(headers.iter().map(|header| header.as_bytes()))
    }

    #[test]
    fn scheme_is_read_without_case_and_others_are_left_alone() {
        assert_eq!(of(&["Bearer a.b.c"]), Ok(Some("a.b.c")));
        assert_eq!(of(&["bEaReR  a.b.c "]), Ok(Some("a.b.c")));
        for none in ["Basic YTpi", "Bearer", "Bearera.b.c", ""] {
            assert_eq!(of(&[none]), Ok(None), "{none}");
        }
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn two_tokens_are_one_too_many_and_one_beside_another_scheme_is_not() {
        assert_eq!(of(&["Bearer a", "Bearer a"]), Err(Refusal::MultipleTokens));
        assert_eq!(of(&["Basic YTpi", "Bearer a"]), Ok(Some("a")));
    }
}
