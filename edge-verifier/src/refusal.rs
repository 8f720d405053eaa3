//! Every way the gateway says no, as problem documents (RFC 9457).

use serde::Serialize;
use shared_claims::VerifyError;

use crate::charging::SpendLimit;
use crate::cors::HeaderList;

/// Why a request is not forwarded, or its answer not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The path can be read in two ways.
    InvalidPath,
    /// More or larger headers than the gateway looks through.
    HeadersTooLarge,
    /// The body is larger than the route takes.
    BodyTooLarge,
    /// No route has this path.
    RouteNotFound,
    /// The path has routes, for other methods.
    MethodNotAllowed {
        /// For the header `Allow`.
        allow: String,
    },
    /// More than one token.
    MultipleTokens,
    /// No token where one is needed.
    MissingToken,
    /// The token is not accepted.
    Token(VerifyError),
    /// The role may not pass.
    InsufficientScope,
    /// Not allowed for a reason of its own, given as a sentence.
    Forbidden(&'static str),
    /// The issuer's keys cannot be had.
    KeysUnavailable {
        /// Seconds after which to try again.
        retry_after_secs: u64,
    },
    /// The revocation feed is too old for the route.
    FeedStale,
    /// The client has asked for more than the route allows one client.
    RateLimited {
        /// Seconds after which to try again.
        retry_after_secs: u64,
    },
    /// The user has fewer credits than the route costs.
    InsufficientCredits {
        /// What can be spent.
        balance: u64,
    },
    /// The user's credit account is frozen.
    AccountFrozen,
    /// The app may not spend more of the user's credits for now.
    SpendLimitReached(Box<SpendLimit>),
    /// The issuer takes no more charges of this user at the moment.
    TooManyCharges {
        /// Seconds after which to try again.
        retry_after_secs: u64,
    },
    /// The gateway's service token is missing or not accepted by the issuer.
    ChargingNotSetUp,
    /// The issuer does not answer, so that nothing can be charged.
    ChargingUnavailable,
    /// The credits held could not be spent, so that the answer is not passed on.
    NotSettled,
    /// The backend did not answer.
    UpstreamUnreachable,
    /// The backend did not answer in time.
    UpstreamTimeout,
    /// The Worker is misconfigured, or an invariant broke.
    Internal,
    /// The instance is being replaced.
    Restarting,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<u64>,
    #[serde(rename = "spendLimit", skip_serializing_if = "Option::is_none")]
    spend_limit: Option<&'a SpendLimit>,
}

impl Refusal {
    /// The stable code that programs rely on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidPath => "invalid_path",
            Self::HeadersTooLarge | Self::BodyTooLarge => "payload_too_large",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::MultipleTokens => "multiple_tokens",
            Self::MissingToken => "missing_token",
            Self::Token(error) => error.code(),
            Self::InsufficientScope => "insufficient_scope",
            Self::Forbidden(_) => "forbidden",
            Self::KeysUnavailable { .. } => "keys_unavailable",
            Self::InsufficientCredits { .. } => "insufficient_credits",
            Self::AccountFrozen => "account_frozen",
            Self::SpendLimitReached(_) => "spend_limit_reached",
            Self::RateLimited { .. } | Self::TooManyCharges { .. } => "rate_limited",
            Self::FeedStale
            | Self::Restarting
            | Self::ChargingNotSetUp
            | Self::ChargingUnavailable
            | Self::NotSettled => "unavailable",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::InvalidPath | Self::MultipleTokens => 400,
            Self::MissingToken | Self::Token(_) => 401,
            Self::InsufficientCredits { .. } => 402,
            Self::InsufficientScope
            | Self::Forbidden(_)
            | Self::AccountFrozen
            | Self::SpendLimitReached(_) => 403,
            Self::RouteNotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::HeadersTooLarge | Self::BodyTooLarge => 413,
            Self::RateLimited { .. } | Self::TooManyCharges { .. } => 429,
            Self::Internal => 500,
            Self::UpstreamUnreachable => 502,
            Self::KeysUnavailable { .. }
            | Self::FeedStale
            | Self::Restarting
            | Self::ChargingNotSetUp
            | Self::ChargingUnavailable
            | Self::NotSettled => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// The problem document.
    pub fn body(&self) -> String {
        let problem = Problem {
            r#type: format!("urn:tollgate:problem:{}", self.code()),
            title: self.title(),
            status: self.status(),
            detail: self.detail(),
            code: self.code(),
            balance: match self {
                Self::InsufficientCredits { balance } => Some(*balance),
                _ => None,
            },
            spend_limit: match self {
                Self::SpendLimitReached(limit) => Some(&**limit),
                _ => None,
            },
        };
        serde_json::to_string(&problem).expect("strings and a number always serialise")
    }

    /// The headers that belong to it.
    pub fn headers(&self) -> HeaderList {
        let mut list = vec![
            ("content-type", "application/problem+json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        if let Some(challenge) = self.challenge() {
            list.push(("www-authenticate", challenge.to_owned()));
        }
        if let Some(secs) = self.retry_after_secs() {
            list.push(("retry-after", secs.to_string()));
        }
        if let Self::MethodNotAllowed { allow } = self {
            list.push(("allow", allow.clone()));
        }
        list
    }

    /// RFC 6750, section 3: no `error` where no token was sent.
    const fn challenge(&self) -> Option<&'static str> {
        Some(match self {
            Self::MissingToken => r#"Bearer realm="tollgate""#,
            Self::Token(_) => r#"Bearer realm="tollgate", error="invalid_token""#,
            Self::InsufficientScope => r#"Bearer realm="tollgate", error="insufficient_scope""#,
            _ => return None,
        })
    }

    const fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::KeysUnavailable { retry_after_secs }
            | Self::RateLimited { retry_after_secs }
            | Self::TooManyCharges { retry_after_secs } => Some(*retry_after_secs),
            Self::FeedStale | Self::Restarting | Self::ChargingUnavailable | Self::NotSettled => {
                Some(RETRY_SOON_SECS)
            }
            Self::ChargingNotSetUp => Some(RETRY_LATER_SECS),
            _ => None,
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::InvalidPath => "The path is not accepted.",
            Self::HeadersTooLarge => "The headers are too large.",
            Self::BodyTooLarge => "The body is too large.",
            Self::RouteNotFound => "There is no such route.",
            Self::MethodNotAllowed { .. } => "The route does not take this method.",
            Self::MultipleTokens => "Exactly one access token is accepted.",
            Self::MissingToken => "An access token is needed.",
            Self::Token(_) => "The access token is not accepted.",
            Self::InsufficientScope => "The role does not allow this.",
            Self::Forbidden(_) => "This is not allowed.",
            Self::KeysUnavailable { .. } => "Tokens cannot be verified at present.",
            Self::FeedStale => "Revocations cannot be checked at present.",
            Self::InsufficientCredits { .. } => "There are not enough credits.",
            Self::AccountFrozen => "The credit account is frozen.",
            Self::SpendLimitReached(_) => "The app may not spend more of these credits for now.",
            Self::RateLimited { .. } | Self::TooManyCharges { .. } => "Too many requests.",
            Self::ChargingNotSetUp | Self::ChargingUnavailable | Self::NotSettled => {
                "Credits cannot be charged at present."
            }
            Self::UpstreamUnreachable => "The backend cannot be reached.",
            Self::UpstreamTimeout => "The backend took too long.",
            Self::Internal => "Something went wrong.",
            Self::Restarting => "The gateway is restarting.",
        }
    }

    const fn detail(&self) -> &'static str {
        match self {
            Self::InvalidPath => {
                "Encoded slashes, backslashes, percent signs, semicolons and control characters, \
                 empty and dot segments are refused; send each character in its plain form."
            }
            Self::HeadersTooLarge => "Send fewer or smaller headers.",
            Self::BodyTooLarge => "The body is larger than the route takes.",
            Self::RouteNotFound => "No route takes this path on this host.",
            Self::MethodNotAllowed { .. } => "The header Allow lists the methods it takes.",
            Self::MultipleTokens => "Send the token in one place, once.",
            Self::MissingToken => "Send the header Authorization: Bearer with an access token.",
            Self::Token(error) => token_detail(*error),
            Self::InsufficientScope => "The route is for other roles than the token's.",
            Self::Forbidden(detail) => detail,
            Self::KeysUnavailable { .. } => "The issuer's keys cannot be fetched; try again.",
            Self::FeedStale => "The revocation feed is older than the route allows; try again.",
            Self::RateLimited { .. } => "Wait as long as Retry-After says.",
            Self::InsufficientCredits { .. } => {
                "The request was not forwarded: balance is what can be spent."
            }
            Self::AccountFrozen => "The request was not forwarded; the operator can say why.",
            Self::SpendLimitReached(_) => {
                "The request was not forwarded: spendLimit says which limit, and until when."
            }
            Self::TooManyCharges { .. } => {
                "The request was not forwarded: too many charges are open or were declined lately."
            }
            Self::ChargingNotSetUp => {
                "The request was not forwarded: the gateway is not set up to charge for it."
            }
            Self::ChargingUnavailable => {
                "The request was not forwarded: the issuer does not answer; try again."
            }
            Self::NotSettled => {
                "The backend has answered, but its answer could not be charged and is withheld."
            }
            Self::UpstreamUnreachable => "The backend of this route did not answer.",
            Self::UpstreamTimeout => "The backend did not answer within the time of this route.",
            Self::Internal => "It has been logged.",
            Self::Restarting => "The request was not forwarded; try again.",
        }
    }
}

/// What the holder of a refused token can do; never what the token says.
const fn token_detail(error: VerifyError) -> &'static str {
    match error {
        VerifyError::Expired | VerifyError::Revoked => "Refresh the token or sign in again.",
        VerifyError::NotYetValid | VerifyError::IssuedInFuture => {
            "The token's time has not come; the clocks of issuer and gateway differ."
        }
        VerifyError::WrongAudience => "The token is for another audience.",
        VerifyError::WrongIssuer | VerifyError::UnknownKey => "The token is by another issuer.",
        _ => "The token is not one this gateway can accept.",
    }
}

/// The feed is polled every second, and a new instance is there at once.
const RETRY_SOON_SECS: u64 = 1;
/// Somebody has to mend the set-up first.
const RETRY_LATER_SECS: u64 = 30;
