//! Tokens and the keys that sign them.

use time::Duration;

use super::{HttpConfig, Source};

/// How long tokens and sessions live, and what they say.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `JWT_ISSUER`: the `iss` claim.
    pub issuer: String,
    /// `JWT_AUDIENCE`: the `aud` claim.
    pub audience: String,
    /// `ACCESS_TOKEN_TTL`, seconds.
    pub access_ttl_secs: i32,
    /// `REFRESH_TOKEN_TTL`, seconds.
    pub refresh_ttl_secs: i32,
    /// `SESSION_ABSOLUTE_TTL`, seconds: a session ends then whatever happens.
    pub session_absolute_ttl_secs: i32,
    /// `KEY_PUBLISH_AHEAD`, seconds: how long a standby key is published before it may sign.
    pub key_publish_ahead: Duration,
}

impl TokenConfig {
    pub(super) fn read(source: &mut Source<'_>, http: &HttpConfig) -> Self {
        let issuer = source
            .text("JWT_ISSUER")
            .unwrap_or_else(|| http.base_url.clone());
        let audience = source
            .text("JWT_AUDIENCE")
            .unwrap_or_else(|| "tollgate".into());
        for (name, text) in [("JWT_ISSUER", &issuer), ("JWT_AUDIENCE", &audience)] {
            if text.len() > MAX_NAME_BYTES {
                source.problem(name, "must be at most 200 bytes: it is part of every token");
            }
        }
        Self {
            issuer,
            audience,
            access_ttl_secs: seconds(
                source,
                "ACCESS_TOKEN_TTL",
                default_access_ttl(),
                MAX_ACCESS_TTL_SECS,
            ),
            refresh_ttl_secs: seconds(
                source,
                "REFRESH_TOKEN_TTL",
                default_refresh_ttl(),
                MAX_SESSION_TTL_SECS,
            ),
            session_absolute_ttl_secs: seconds(
                source,
                "SESSION_ABSOLUTE_TTL",
                default_session_ttl(),
                MAX_SESSION_TTL_SECS,
            ),
            key_publish_ahead: Duration::seconds(source.number(
                "KEY_PUBLISH_AHEAD",
                default_key_publish_ahead(),
                0..=MAX_PUBLISH_AHEAD_SECS,
            )),
        }
    }
}

fn seconds(source: &mut Source<'_>, name: &'static str, default: i64, max: i64) -> i32 {
    i32::try_from(source.number(name, default, 1..=max)).unwrap_or(1)
}

/// 15 minutes: short enough to bound what a verifier without the feed accepts.
fn default_access_ttl() -> i64 {
    900
}

/// 7 days without use end a session.
fn default_refresh_ttl() -> i64 {
    604_800
}

/// 90 days end it in any case.
fn default_session_ttl() -> i64 {
    7_776_000
}

/// The verifiers' hard TTL of an hour, with max-age and skew on top.
fn default_key_publish_ahead() -> i64 {
    3_720
}

/// Verifiers refuse a longer life (`lifetime_too_long`).
const MAX_ACCESS_TTL_SECS: i64 = 3_600;
/// Ten years: fits the database's and our arithmetic with room to spare.
const MAX_SESSION_TTL_SECS: i64 = 315_360_000;
/// A week; longer would only delay a rotation.
const MAX_PUBLISH_AHEAD_SECS: i64 = 604_800;
/// Keeps an access token below 1.5 KB together with a long e-mail address.
const MAX_NAME_BYTES: usize = 200;
