//! Every way a backend says no, as problem documents (RFC 9457): the codes, statuses and headers
//! of the gateway.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use crate::fetch::FetchError;

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More than one token.
    MultipleTokens,
    /// No token where one is needed.
    MissingToken,
    /// The token is not accepted, or cannot be judged.
    Token(FetchError),
    /// The role may not pass.
    InsufficientScope,
}

impl Refusal {
    /// The stable code that programs rely on.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MultipleTokens => "multiple_tokens",
            Self::MissingToken => "missing_token",
            Self::Token(error) => error.code(),
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::MultipleTokens => 400,
            Self::MissingToken | Self::Token(FetchError::Refused(_)) => 401,
            Self::InsufficientScope => 403,
            Self::Token(FetchError::Unavailable { .. }) => 503,
        }
    }

    /// The headers that belong to it, by names in lower case.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::from([
            ("content-type", "application/problem+json".to_string()),
            ("cache-control", "no-store".to_string()),
        ]);
        if let Some(challenge) = self.challenge() {
            headers.push(("www-authenticate", challenge.to_string()));
        }
        if let Self::Token(FetchError::Unavailable { retry_after_secs }) = self {
            headers.push(("retry-after", retry_after_secs.to_string()));
        }
        headers
    }

    /// The problem document. All of it is text of ours, and nothing in it needs escaping.
    pub fn body(self) -> String {
        let (code, status) = (self.code(), self.status());
        let (title, detail) = (self.title(), self.detail());
        format!(
            r#"{{"type":"urn:tollgate:problem:{code}","title":"{title}","status":{status},"detail":"{detail}","code":"{code}"}}"#
        )
    }

    /// RFC 6750, section 3: no `error` where no token was sent.
    const fn challenge(self) -> Option<&'static str> {
        Some(match self {
            Self::MissingToken => r#"Bearer realm="tollgate""#,
            Self::Token(FetchError::Refused(_)) => {
                r#"Bearer realm="tollgate", error="invalid_token""#
            }
            Self::InsufficientScope => r#"Bearer realm="tollgate", error="insufficient_scope""#,
            Self::MultipleTokens | Self::Token(FetchError::Unavailable { .. }) => return None,
        })
    }

    const fn title(self) -> &'static str {
        match self {
            Self::MultipleTokens => "Exactly one access token is accepted.",
            Self::MissingToken => "An access token is needed.",
            Self::Token(FetchError::Refused(_)) => "The access token is not accepted.",
            Self::Token(FetchError::Unavailable { .. }) => "Tokens cannot be verified at present.",
            Self::InsufficientScope => "The role does not allow this.",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::MultipleTokens => "Send the token in one place, once.",
            Self::MissingToken => "Send the header Authorization: Bearer with an access token.",
            Self::Token(FetchError::Refused(_)) => "Refresh the token or sign in again.",
            Self::Token(FetchError::Unavailable { .. }) => {
                "The issuer's keys cannot be fetched; try again."
            }
            Self::InsufficientScope => "The route is for other roles than the token's.",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            refusal => f.write_str(refusal.code()),
        }
    }
}

impl Error for Refusal {}
