//! The `Idempotency-Key` of a request: header or field, which mean the same.

use poem::Request;

use super::header_extractor::header_extractor;
use super::problem::{FieldError, Problem, Public, Refusal};

/// The header. Unlike a plain header parameter it refuses what it cannot read: a key that is
/// passed over in silence would let a repeated request spend twice.
#[derive(Debug, Default)]
pub struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// Brings header and field together.
    ///
    /// # Errors
    /// `validation_failed` when they differ or the key is not 1–255 visible ASCII characters.
    pub fn or_field(self, field: Option<String>) -> Result<Option<String>, Problem> {
        match (self.0, field) {
            (_, Some(field)) if !is_well_formed(field.as_bytes()) => Err(refuse(FORM)),
            (Some(header), Some(field)) if header != field => {
                Err(refuse("differs from the Idempotency-Key header"))
            }
            (header, field) => Ok(header.or(field)),
        }
    }

    fn of(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(refuse("must be given once"));
        }
        match value.to_str() {
            Ok(text) if is_well_formed(text.as_bytes()) => Ok(Self(Some(text.to_owned()))),
            _ => Err(refuse(FORM)),
        }
    }
}

header_extractor!(IdempotencyKey, |request| Self::of(request)
    .map_err(|problem| Refusal::<Public>::from(problem).into()));

fn is_well_formed(key: &[u8]) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
}

fn refuse(message: &str) -> Problem {
    Problem::validation(vec![FieldError::new("idempotencyKey", message)])
}

const HEADER: &str = "idempotency-key";
const FORM: &str = "must be 1 to 255 visible ASCII characters";
/// Room for any id or hash a client may use, and small enough to keep for ever.
const MAX_KEY_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn key(headers: &[&[u8]], field: Option<&str>) -> Result<Option<String>, ()> {
        let mut request = Request::builder().finish();
        for header in headers {
            let value = HeaderValue::from_bytes(header).expect("a header value");
            request.headers_mut().append(HEADER, value);
        }
        let key = IdempotencyKey::of(&request).map_err(drop)?;
        key.or_field(field.map(str::to_owned)).map_err(drop)
    }

    #[test]
    fn header_and_field_mean_the_same() {
        assert_eq!(key(&[], None), Ok(None));
        assert_eq!(key(&[b"k"], None), Ok(Some("k".into())));
        assert_eq!(key(&[], Some("k")), Ok(Some("k".into())));
        assert_eq!(key(&[b"k"], Some("k")), Ok(Some("k".into())));
        assert_eq!(key(&[b"k"], Some("other")), Err(()));
    }

    #[test]
    fn malformed_keys_are_refused() {
        let long = "k".repeat(256);
        for bad in ["", " ", "a b", "k\u{e9}y", "\u{7f}", &long] {
            assert_eq!(key(&[], Some(bad)), Err(()), "{bad}");
        }
        for bad in ["", "a b", "k\u{e9}y", &long] {
            assert_eq!(key(&[bad.as_bytes()], None), Err(()), "{bad}");
        }
        assert!(key(&["k".repeat(255).as_bytes()], None).is_ok());
    }

    #[test]
    fn two_headers_are_refused_even_when_they_agree() {
        assert_eq!(key(&[b"k", b"k"], None), Err(()));
        assert_eq!(key(&[b"k", b"\xff"], None), Err(()));
    }
}
