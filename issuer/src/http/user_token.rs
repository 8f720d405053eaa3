//! The access token of the user a service acts for, beside the service's own secret.

use poem::Request;

use super::header_extractor::header_extractor;
use super::problem::{Problem, ProblemCode, Refusal, SignedIn};
use crate::secret::SecretText;

/// The header, unverified.
#[derive(Debug)]
pub struct UserToken(Option<SecretText>);

impl UserToken {
    /// The token, if one was sent.
    pub fn text(&self) -> Option<&str> {
        self.0.as_ref().map(SecretText::expose)
    }

    fn of(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let malformed = || Problem::with_detail(ProblemCode::InvalidToken, "malformed");
        if values.next().is_some() {
            return Err(malformed());
        }
        let text = value.to_str().map_err(|_| malformed())?;
        Ok(Self(Some(SecretText::new(text.to_owned()))))
    }
}

header_extractor!(UserToken, |request| Self::of(request)
    .map_err(|problem| Refusal::<SignedIn>::from(problem).into()));

const HEADER: &str = "x-user-token";
