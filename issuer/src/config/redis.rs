//! Where issuers share their rate limits.

use std::fmt;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use super::Source;

/// A Redis server.
#[derive(Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`, or `REDIS_HOST`, `REDIS_PORT` and `REDIS_PASSWORD`.
    pub client: Client,
}

impl RedisConfig {
    /// `None` when none is configured: each issuer then limits for itself.
    pub(super) fn read(source: &mut Source<'_>) -> Option<Self> {
        let url = source.secret("REDIS_URL");
        let host = source.text("REDIS_HOST");
        let port = source.number("REDIS_PORT", default_port(), 1..=65_535);
        let password = source.secret("REDIS_PASSWORD");
        for name in ["REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"] {
            if source.text(name).is_some() && (url.is_some() || host.is_none()) {
                source.problem(
                    name,
                    "goes with REDIS_HOST and without REDIS_URL, which holds all of it",
                );
            }
        }
        let info = match (url, host) {
            (Some(url), _) => match url.expose().into_connection_info() {
                Ok(info) => info,
                Err(_) => {
                    source.problem(
                        "REDIS_URL",
                        "must be a Redis URL: redis://:password@host:6379/0, or rediss:// for TLS",
                    );
                    return None;
                }
            },
            (None, Some(host)) => {
                let settings = RedisConnectionInfo::default();
                let settings = match &password {
                    Some(password) => settings.set_password(password.expose()),
                    None => settings,
                };
                let port = u16::try_from(port).unwrap_or_default();
                named(host, port)?.set_redis_settings(settings)
            }
            (None, None) => return None,
        };
        let client = Client::open(info).ok()?;
        Some(Self { client })
    }
}

fn named(host: String, port: u16) -> Option<ConnectionInfo> {
    ConnectionAddr::Tcp(host, port).into_connection_info().ok()
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisConfig")
    }
}

/// Redis' own.
fn default_port() -> i64 {
    6379
}
