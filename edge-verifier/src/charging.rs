//! Credits: what is asked of the issuer for a request that costs something, what its answers
//! mean, and what becomes of a hold when the backend has answered.
//!
//! 1. Nothing is forwarded before the credits are held, or spent with `charge = "before"`.
//! 2. A hold is captured before the first byte of the answer goes on, and given back when the
//!    backend failed. What is neither lapses at the issuer.
//! 3. Each hold has keys of its own, made here at random: no header of a client has a part in
//!    them, and what is asked twice is done once.

use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared_claims::VerifyError;

use crate::config::{Charge, ChargeWhen, Config, Route};
use crate::cors::HeaderList;
use crate::refusal::Refusal;
use crate::request::Incoming;
use crate::routes;
use crate::tokens::{self, Presented};

/// What the issuer is asked for before a request is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Index of the route.
    pub route: usize,
    /// What the route charges.
    pub charge: Charge,
    /// What the user reads in the history: the name of the route.
    pub description: String,
    /// After how long a hold ends by itself.
    pub expires_in_secs: u64,
    /// The user's own access token.
    pub user_token: UserToken,
}

/// An access token; its `Debug` prints a name.
#[derive(Clone, PartialEq, Eq)]
pub struct UserToken(String);

impl UserToken {
    /// The text of the token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserToken")
    }
}

/// Credits held for a request that is under way, as the entry hands them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The issuer's id of it.
    pub id: String,
    /// The key of the request; capture and release have keys made from it.
    pub key: String,
    /// Index of the route.
    pub route: usize,
}

/// What an answer of the issuer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is done, now or with an earlier request of the same key.
    Done(T),
    /// It is refused, and was not done.
    Refused(Refusal),
    /// Nobody knows: to be asked again with the same key.
    Again,
}

/// What becomes of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is spent.
    Capture,
    /// It is given back.
    Release,
}

/// What to ask for before this admitted request is forwarded; nothing where it is free.
pub fn order(config: &Config, route: &Route, request: &Incoming<'_>) -> Option<Order> {
    let charge = route.charge.clone()?;
    let Presented::Token { text, .. } = tokens::find(&request.headers, &route.token) else {
        return None;
    };
    Some(Order {
        route: routes::index_of(config, route),
        charge,
        description: route.id.clone(),
        expires_in_secs: u64::from(route.timeout_ms).div_ceil(1000) + SETTLING_SECS,
        user_token: UserToken(text.to_owned()),
    })
}

impl Order {
    /// Where it goes, below the issuer's URL.
    pub const fn path(&self) -> &'static str {
        match self.charge.when {
            ChargeWhen::OnSuccess => "/api/v1/credits/holds",
            ChargeWhen::Before => "/api/v1/credits/use",
        }
    }

    /// The body of the request.
    pub fn body(&self) -> String {
        let mut body = json!({
            "amount": self.charge.cost,
            "appId": self.charge.app_id,
            "description": self.description,
        });
        if self.charge.when == ChargeWhen::OnSuccess {
            body["expiresInSeconds"] = self.expires_in_secs.into();
        }
        body.to_string()
    }

    /// Reads the issuer's answer. With a hold, its id.
    pub fn read(
        &self,
        status: u16,
        retry_after: Option<&str>,
        body: &[u8],
    ) -> Outcome<Option<String>> {
        match (status, self.charge.when) {
            (200, ChargeWhen::Before) => Outcome::Done(None),
            (201, ChargeWhen::OnSuccess) => match hold_id(body) {
                Some(id) => Outcome::Done(Some(id)),
                None => Outcome::Again,
            },
            (401..=403 | 404 | 409 | 422 | 429, _) => {
                Outcome::Refused(refusal_of(status, retry_after, body))
            }
            _ => Outcome::Again,
        }
    }
}

impl Hold {
    /// Where its end goes, below the issuer's URL.
    pub fn path(&self, end: End) -> String {
        format!("/api/v1/credits/holds/{}/{}", self.id, end.as_str())
    }

    /// The idempotency key of its end.
    pub fn key_of(&self, end: End) -> String {
        format!("{}:{}", self.key, end.as_str())
    }
}

impl End {
    /// What becomes of a hold when the backend has answered with this status; 0 when it did not
    /// answer at all.
    pub const fn of(charge: &Charge, status: u16) -> Self {
        match status {
            100..400 => Self::Capture,
            400..500 if charge.on_4xx => Self::Capture,
            _ => Self::Release,
        }
    }

    /// As the issuer calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Release => "release",
        }
    }

    /// Reads the issuer's answer.
    pub const fn read(status: u16) -> Outcome<()> {
        match status {
            200 => Outcome::Done(()),
            // The hold has ended otherwise, or this gateway may not end it any more.
            401 | 403 | 404 | 409 | 422 => Outcome::Refused(Refusal::NotSettled),
            _ => Outcome::Again,
        }
    }
}

/// The headers that tell a client what its request has cost.
pub fn receipt(charge: &Charge) -> (HeaderList, HeaderList) {
    let set = vec![(CHARGED, charge.cost.to_string())];
    let append = vec![("access-control-expose-headers", CHARGED.to_owned())];
    (set, append)
}

/// The secret `EDGE_SERVICE_TOKEN`: one token for all apps, or `app=token` for each, with white
/// space between them.
#[derive(Default)]
pub struct ServiceTokens(Vec<(Option<String>, String)>);

impl ServiceTokens {
    /// Reads the secret; nothing when it has not that form.
    pub fn parse(text: &str) -> Option<Self> {
        let read = |word: &str| {
            let (app, token) = match word.split_once('=') {
                Some((app, token)) => (Some(app.to_owned()), token),
                None => (None, word),
            };
            let is_token =
                token.starts_with(TOKEN_PREFIX) && token.bytes().all(|b| b.is_ascii_graphic());
            is_token.then(|| (app, token.to_owned()))
        };
        text.split_ascii_whitespace()
            .map(read)
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The token for an app.
    pub fn find(&self, app_id: &str) -> Option<&str> {
        let fits = |app: &Option<String>| app.as_deref().is_none_or(|app| app == app_id);
        let named = self
            .0
            .iter()
            .find(|(app, _)| app.as_deref() == Some(app_id));
        let found = named.or_else(|| self.0.iter().find(|(app, _)| fits(app)));
        found.map(|(_, token)| token.as_str())
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceTokens")
    }
}

/// The apps of routes with a cost for which there is no token.
pub fn apps_without_token(config: &Config, tokens: &ServiceTokens) -> Vec<String> {
    let charges = config
        .routes
        .iter()
        .filter_map(|route| route.charge.as_ref());
    let mut missing: Vec<String> = charges
        .map(|charge| &charge.app_id)
        .filter(|app_id| tokens.find(app_id).is_none())
        .cloned()
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

#[derive(Deserialize)]
struct Placed {
    hold: PlacedHold,
}

#[derive(Deserialize)]
struct PlacedHold {
    id: String,
}

/// What is read of a problem document of the issuer.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Problem {
    code: String,
    detail: String,
    balance: u64,
    spend_limit: Option<SpendLimit>,
}

/// The limit that forbids a charge, passed on to the client as the issuer says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpendLimit {
    /// `day` or `month`.
    pub period: String,
    /// How much the app may spend in it.
    pub limit: u64,
    /// How much it has spent and holds.
    pub used: u64,
    /// When it begins anew.
    pub resets_at: String,
}

fn hold_id(body: &[u8]) -> Option<String> {
    let placed: Placed = serde_json::from_slice(body).ok()?;
    let id = placed.hold.id;
    // It becomes a part of a URL.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ((1..=MAX_HOLD_ID).contains(&id.len()) && id.bytes().all(plain)).then_some(id)
}

fn refusal_of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Refusal {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let retry_after_secs = retry_after.and_then(|secs| secs.parse().ok());
    match (status, problem.code.as_str()) {
        (402, _) => Refusal::InsufficientCredits {
            balance: problem.balance,
        },
        (403, "account_frozen") => Refusal::AccountFrozen,
        (403, "spend_limit_reached") => match problem.spend_limit {
            Some(limit) => Refusal::SpendLimitReached(Box::new(limit)),
            None => Refusal::ChargingUnavailable,
        },
        (404, _) => Refusal::Forbidden("The user has no credit account."),
        // As many holds are open as there may be: they end with the requests they are for.
        (409 | 429, _) => Refusal::TooManyCharges {
            retry_after_secs: retry_after_secs.unwrap_or(RETRY_BUSY_SECS),
        },
        (401, "session_revoked") => Refusal::Token(VerifyError::Revoked),
        (401, "invalid_token") if problem.detail != UNKNOWN_SERVICE => {
            Refusal::Token(token_error(&problem.detail))
        }
        // The service's credential is not what it should be: nothing the client could mend.
        _ => Refusal::ChargingNotSetUp,
    }
}

/// What the issuer says of a token that this gateway has accepted: its key was revoked or its time
/// ran out in between, or issuer and gateway do not mean the same audience.
fn token_error(code: &str) -> VerifyError {
    const EXPECTED: [VerifyError; 3] = [
        VerifyError::Expired,
        VerifyError::WrongAudience,
        VerifyError::WrongIssuer,
    ];
    let known = EXPECTED.into_iter().find(|error| error.code() == code);
    known.unwrap_or(VerifyError::UnknownKey)
}

/// The header that says how many credits the request has cost.
pub const CHARGED: &str = "x-credits-charged";
/// The variable of the Worker that holds the service's secret.
pub const SECRET_NAME: &str = "EDGE_SERVICE_TOKEN";
/// How a service's secret begins.
const TOKEN_PREFIX: &str = "tgs_";
/// What the issuer says of a service's secret that is wrong, expired or revoked.
const UNKNOWN_SERVICE: &str = "unknown_service";
/// Longer than placing a hold and asking again and again for its capture takes.
const SETTLING_SECS: u64 = 60;
/// Ids of holds have 22 characters.
const MAX_HOLD_ID: usize = 64;
/// A hold is open for as long as a request is under way.
const RETRY_BUSY_SECS: u64 = 1;

/// Pauses between the attempts at something a request waits for, in milliseconds.
pub const PAUSES_MS: [u32; 3] = [0, 50, 250];
/// Pauses between further attempts at a capture or release, which nobody waits for. The runtime
/// keeps a request for 30 seconds after its answer.
pub const LATER_PAUSES_MS: [u32; 4] = [1_000, 2_000, 4_000, 8_000];
/// The issuer answers in less than two seconds, be it that it cannot.
pub const ATTEMPT_MS: u32 = 2_000;
